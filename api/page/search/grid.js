// The answer as a grid: a picture's whole frame, its heading and its credit. Texts stand among them.

import { el, marked, unmarked } from "../shared/dom.js";
import { time } from "../shared/format.js";
import { pick } from "../desk/chosen.js";
import { badge, headlineLink, liveMark, ruled } from "./hits.js";
import { clock, isPlayable, ours, still } from "../lightbox/media.js";
import { placeholder } from "../lightbox/pictures.js";
import { creditOf } from "../lightbox/licence.js";
import { isMedia } from "../lightbox/lightbox.js";
import { t } from "../shared/texts.js";

const VIEW = "dateline-view";

export const isGrid = () => localStorage.getItem(VIEW) === "grid";
export const setGrid = (on) => localStorage.setItem(VIEW, on ? "grid" : "list");

function picture({ meta, item }, actions) {
  const href = (meta.shot && meta.shot.thumbnail) || ours(item, "thumbnail") || ours(item, "preview");
  const inner = href ? still(href, "", item) : placeholder(item);
  return el("button", { type: "button", class: "tile-look", "aria-label": t("Look at {name}", { name: unmarked(item.headline) || item.uri }), onclick: () => actions.look(item.uri) },
    inner, isPlayable(item) && el("span", { class: "play-mark", "aria-hidden": "true" }, "▶"),
    meta.shot && el("span", { class: "play-time", "aria-hidden": "true" }, clock(meta.shot.start_s)));
}

function words({ meta, item }) {
  const text = meta.passage || item.description_summary || item.description_caption || "";
  return unmarked(text) ? el("p", { class: "tile-words", dir: "auto" }, marked(text)) : null;
}

/** A hit as a tile. */
export function tile(result, address, actions) {
  const { meta, item } = result;
  const isLook = isMedia(item);
  return el("article", { class: isLook ? "hit tile has-look" : "hit tile", "data-uri": item.uri },
    isLook && picture(result, actions),
    el("div", { class: "tile-body" },
      el("p", { class: "kicker" }, pick(item), badge(item), liveMark(meta.live), time(item.versioncreated)),
      el("h2", { dir: "auto" }, headlineLink(result, address, actions)),
      isLook ? creditOf(item) && el("p", { class: "tile-credit" }, creditOf(item)) : words(result),
      el("p", { class: "tile-foot" }, el("button", { type: "button", class: "keep", "aria-label": t("Put into a basket: {name}", { name: unmarked(item.headline) || item.uri }), onclick: () => actions.keep(item, actions) }, t("Basket")),
        meta.pinned && el("span", { class: "pinned" }, t("Pinned by editors")))));
}

/** The hits as tiles, with a rule between strong and related ones. */
export function tiles(results, address, actions, before) {
  return ruled(results, before, (result) => tile(result, address, actions));
}

/** How many tiles stand in a row. */
export function perRow(box) {
  const all = [...box.querySelectorAll(".hit")];
  const beside = all.findIndex((node) => node.offsetTop !== all[0].offsetTop);
  return beside < 0 ? Math.max(1, all.length) : beside;
}
