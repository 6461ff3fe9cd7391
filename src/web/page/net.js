// Asking the server. Whatever fails becomes an Error whose message can be shown.

import { tell } from "./store.js";

/** `status` 0: no answer at all. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "seewhen does not answer; is it running?");
  }
  if (response.status === 401 && path !== "/api/login") tell("access", "needed");
  return response;
}

async function failure(response) {
  let said = "";
  try {
    const body = await response.json();
    said = body.error ?? body.reason ?? "";
  } catch {
    // No JSON: the status has to do.
  }
  const wait = response.headers.get("Retry-After");
  const words = said || `the server answered ${response.status}`;
  return new Refused(response.status, wait ? `${words} (again in ${wait} s)` : words);
}

/** JSON of a path; `query` pairs that are empty are left out. */
export async function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null);
  const search = new URLSearchParams(given).toString();
  const response = await ask(search ? `${path}?${search}` : path, { signal });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** JSON for JSON; null where there is no answer to it. */
export async function post(path, body, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? null : response.json();
}

/** A command, as over MQTT; its answer when it was carried out. */
export function command(name, fields) {
  return post("/api/command", { command: name, ...fields });
}

/** A picture as a Blob. */
export async function picture(path) {
  const response = await ask(path, { cache: "no-cache" });
  if (!response.ok) throw await failure(response);
  return response.blob();
}

const part = encodeURIComponent;

/** Addresses, each part made safe. */
export const paths = {
  camera: (id, what) => `/api/cameras/${part(id)}/${what}`,
  snapshot: (file) => `/api/snapshots/${file.split("/").map(part).join("/")}`,
};
