// What the server last said, and who wants to know of it.

export const store = {
  node: null,
  /** Camera id → Camera, in the server's order. */
  cameras: new Map(),
  /** Seconds that the server's clock is ahead of ours. */
  skew: 0,
};

const listeners = new Map();

/** Topics: `node`, `cameras` (ids that changed), `removed` (ids), `event`, `link`, `access`. */
export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, []);
  listeners.get(topic).push(listener);
}

export function tell(topic, value) {
  for (const listener of listeners.get(topic) ?? []) listener(value);
}

/** Whether commands are taken at all. */
export const commands = () => store.node?.commands !== false;

/** Every watch once, with the cameras it looks at: id → {id, cameras, labels}. */
export function watches() {
  const found = new Map();
  for (const camera of store.cameras.values()) {
    for (const watch of camera.watches) {
      if (!found.has(watch.id)) found.set(watch.id, { ...watch, cameras: [] });
      found.get(watch.id).cameras.push(camera.id);
    }
  }
  return found;
}

/** `[value, words]` of each camera, for a drop-down. */
export const cameraOptions = () => [...store.cameras.keys()].map((id) => [id, id]);
