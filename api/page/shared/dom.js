// Builds nodes. Text from the service only ever becomes text nodes: nothing is parsed as markup.

const SVG = "http://www.w3.org/2000/svg";
const OPEN = "\ue000";
const CLOSE = "\ue001";

export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element: el("p", {class: "note", onclick: f}, "text", otherNode). */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Text with U+E000 and U+E001 around matched words, as a fragment with <mark>. */
export function marked(text) {
  const fragment = document.createDocumentFragment();
  const parts = String(text || "").split(OPEN);
  fragment.append(parts[0].replaceAll(CLOSE, ""));
  for (const part of parts.slice(1)) {
    const end = part.indexOf(CLOSE);
    fragment.append(el("mark", {}, end < 0 ? part : part.slice(0, end)));
    if (end >= 0) fragment.append(part.slice(end + 1).replaceAll(CLOSE, ""));
  }
  return fragment;
}

/** Text without the marks. */
export const unmarked = (text) => String(text || "").replaceAll(OPEN, "").replaceAll(CLOSE, "");

/** Shows or hides an element. */
export function show(node, visible) {
  node.hidden = !visible;
  return node;
}

/** Replaces the nodes of a box. Focus that was in the box goes to the node with the same `data-keep`,
 * else to `otherwise`, so that keyboard users stay where they are. */
export function redraw(box, nodes, otherwise) {
  const had = box.contains(document.activeElement) ? document.activeElement.dataset : null;
  box.replaceChildren(...nodes);
  if (!had) return;
  const again = had.keep && [...box.querySelectorAll("[data-keep]")].find((node) => node.dataset.keep === had.keep);
  (again || otherwise).focus({ preventScroll: Boolean(again) });
}

/** A bar filled to `share` (0 to 1). Widths go through the CSSOM, which the page's policy allows. */
export function bar(kind, share) {
  return stackedBar([[kind, share]]);
}

/** A bar of several parts, each [kind, share]. */
export function stackedBar(parts) {
  const track = el("span", { class: "bar", "aria-hidden": "true" });
  for (const [kind, share] of parts) {
    const piece = el("span", { class: `bar-fill ${kind}` });
    piece.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
    track.append(piece);
  }
  return track;
}

export const motionReduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
