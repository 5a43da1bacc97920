// A short message at the edge of the page, with at most one thing to do.

import { byId, el, show } from "../dom.js";

const LASTS_MS = 12_000;
let timer = 0;

/** Shows a message; `action` is a button's text and what it does. */
export function toast(text, [action, run] = []) {
  const box = byId("toast");
  clearTimeout(timer);
  box.replaceChildren(el("span", {}, text), action ? el("button", { type: "button", onclick: () => { show(box, false); run(); } }, action) : "");
  show(box, true);
  timer = setTimeout(() => show(box, false), LASTS_MS);
}
