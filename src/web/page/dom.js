// Building the page's elements. What comes from the server goes in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `attributes` are attributes, but for `class`, `text` and handlers such as `onclick`. */
export function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text only where it is another one: an equal text would cost a layout too. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or takes away an attribute, only where that changes it. */
export function mark(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** A drop-down of `[value, words]`. */
export function choice(label, options, attributes = {}) {
  const select = el("select", attributes);
  offer(select, options);
  return { field: el("label", { class: "field" }, el("span", { text: label }), select), select };
}

/** Puts other options into a drop-down and keeps what was chosen, where it is still there. */
export function offer(select, options) {
  const key = JSON.stringify(options);
  if (select.dataset.options === key) return;
  const chosen = select.value;
  select.dataset.options = key;
  select.replaceChildren(...options.map(([value, text]) => el("option", { value, text })));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

/** `call` once nothing has asked for it for so many milliseconds. */
export function calm(milliseconds, call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds);
  };
}

/** A table of terms and what they are; pairs whose second part is missing are left out. */
export function facts(pairs) {
  const list = el("dl", { class: "facts" });
  for (const [term, value] of pairs) {
    if (value !== null && value !== undefined) list.append(el("div", {}, el("dt", { text: term }), el("dd", { text: value })));
  }
  return list;
}
