// Several items at once: those that are chosen go into a basket together. The choice stays while the
// reader asks other questions, until it is used or taken back.

import { byId, el, show, unmarked } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { t } from "../shared/texts.js";

const chosen = new Map(); // items, by uri
const boxes = () => [...document.querySelectorAll("#results .pick")];

/** A box that chooses an item. */
export function pick(item) {
  return el("input", { type: "checkbox", class: "pick", "data-uri": item.uri, checked: chosen.has(item.uri),
    "aria-label": t("Choose: {name}", { name: unmarked(item.headline) || item.uri }), onchange: (event) => take(item, event.target.checked) });
}

function take(item, isChosen) {
  if (isChosen) chosen.set(item.uri, item); else chosen.delete(item.uri);
  draw();
}

function draw() {
  show(byId("chosen"), chosen.size > 0);
  byId("chosen-count").textContent = t("{items} chosen", { items: plural(chosen.size, "item", "items") });
  for (const box of boxes()) box.checked = chosen.has(box.dataset.uri);
}

/** Takes every choice back. */
export function chooseNone() {
  chosen.clear();
  draw();
}

/** Chooses the hit, or takes that back, as its box does. */
export const toggle = (uri) => boxes().find((box) => box.dataset.uri === uri)?.click();

/** Listens to the bar of what is chosen; `keep` puts items into a basket. */
export function listenToChosen(keep) {
  byId("chosen-keep").addEventListener("click", () => keep([...chosen.values()]));
  byId("chosen-none").addEventListener("click", () => { chooseNone(); byId("results").focus(); });
}
