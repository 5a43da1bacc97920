// The keyboard: "/" to the search, j and k (or arrows) among the stories, c to compare. Keys that are
// single characters can be switched off, for those who speak to their computer (WCAG 2.2, 2.1.4).

import { isGrid, perRow } from "../search/grid.js";
import { byId } from "./dom.js";

const OFF = "dateline-keys-off";
/** Whether single characters are keys. */
export const characterKeys = () => byId("keys-on").checked;

const typing = (node) => node.matches("input, select, textarea, [contenteditable]");

const links = () => [...byId("results").querySelectorAll("a.headline")];

/** The uri of the story that has the focus, else of the first one. */
const chosen = () => (links().find((link) => link === document.activeElement) || links()[0])?.dataset.uri;

/** Goes some stories on, or some rows where they are a grid. */
function step(by, rows = 0) {
  const all = links();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const far = rows && isGrid() ? rows * perRow(byId("results")) : by || rows;
  const next = at < 0 ? (far > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + far));
  all[next].focus();
  all[next].closest(".hit").scrollIntoView({ block: "nearest" });
}

/** What each key does while no text is typed and no dialog is open. */
const KEYS = {
  "/": () => { byId("q").focus(); byId("q").select(); },
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(0, 1),
  ArrowUp: () => step(0, -1),
  ArrowRight: () => (isGrid() ? step(1) : null),
  ArrowLeft: () => (isGrid() ? step(-1) : null),
  "?": () => byId("shortcuts").showModal(),
};

function inSearch(event) {
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "Escape") event.target.blur();
  else return;
  event.preventDefault();
}

export function listenToKeys({ compare, grid, look, keep, choose, download }) {
  const box = byId("keys-on");
  box.checked = !localStorage.getItem(OFF);
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target === byId("q")) { inSearch(event); return; }
    if (typing(event.target) || (event.key.length === 1 && !characterKeys())) return;
    const acts = { c: compare, g: grid, v: () => look(chosen()), b: () => keep(chosen()), x: () => choose(chosen()), d: () => download(chosen()) };
    const act = acts[event.key] || KEYS[event.key];
    if (!act || (event.key.startsWith("Arrow") && event.target.matches("video, audio, summary, [tabindex='0']"))) return;
    event.preventDefault();
    act();
  });
}
