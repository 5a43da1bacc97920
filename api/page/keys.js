// The keyboard: "/" to the search, j and k (or arrows) among the stories, c to compare. Keys that are
// single characters can be switched off, for those who speak to their computer (WCAG 2.2, 2.1.4).

import { byId } from "./dom.js";

const OFF = "dateline-keys-off";
const typing = (node) => node.matches("input, select, textarea, [contenteditable]");

function step(by) {
  const links = [...byId("results").querySelectorAll("a.headline")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
  links[next].focus();
  links[next].closest(".hit").scrollIntoView({ block: "nearest" });
}

/** What each key does while no text is typed and no dialog is open. */
const KEYS = {
  "/": () => { byId("q").focus(); byId("q").select(); },
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  "?": () => byId("shortcuts").showModal(),
};

function inSearch(event) {
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "Escape") event.target.blur();
  else return;
  event.preventDefault();
}

export function listenToKeys({ compare }) {
  const box = byId("keys-on");
  box.checked = !localStorage.getItem(OFF);
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target === byId("q")) { inSearch(event); return; }
    if (typing(event.target) || (event.key.length === 1 && !byId("keys-on").checked)) return;
    const act = event.key === "c" ? compare : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
