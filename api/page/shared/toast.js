// A short message at the edge of the page, with what may be done next.

import { byId, el, show } from "./dom.js";
import { t } from "./texts.js";

const LASTS_MS = 15_000;
let timer = 0;
let box = null;

/** Shows a message; `actions` are each a button's text and what it does. An open dialog makes the
 * rest of the page inert, so the message is in there. */
export function toast(text, ...actions) {
  box ??= byId("toast");
  (document.querySelector("dialog[open]") || document.body).append(box);
  clearTimeout(timer);
  box.replaceChildren(el("span", {}, text), ...actions.map(([label, run]) => el("button", { type: "button", onclick: () => { show(box, false); run(); } }, label)));
  show(box, true);
  timer = setTimeout(() => show(box, false), LASTS_MS);
}

/** Copies an address, or shows it where the browser lets no page copy (a plain address by HTTP). */
export async function passOn(address) {
  try {
    await navigator.clipboard.writeText(address);
    toast(t("The address is copied."));
  } catch {
    toast(address);
  }
}
