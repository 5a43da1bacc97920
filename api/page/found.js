// Words that are found in media: where a hit opens, which of them answer, and all of them in the panel.

import { el, marked } from "./dom.js";
import { t } from "./desk/texts.js";
import { isPlayable, machineMark, play } from "./media.js";

const LABELS = { speech: "Said", seen: "Written there", looks: "Looks like", filename: "Name of the file" };
const clock = (seconds) => new Date(Math.floor(seconds) * 1000).toISOString().slice(seconds >= 3600 ? 11 : 14, 19);

/** What the player opens at: the hit's line, from its second to the end of its shot. */
export function moment(meta) {
  const { opens_at: at, shot } = meta || {};
  if (!at || at.field === "shots") return shot;
  return { number: shot?.number, start_s: at.second, end_s: shot && shot.end_s > at.second ? shot.end_s : undefined,
    timecode: at.timecode, description: at.text, made_by: at.made_by, thumbnail: shot?.thumbnail };
}

/** The hit's words that are found in its media, each line with who found it. */
export function foundLines({ meta, item }) {
  const found = (meta.found_in || []).filter(({ field }) => LABELS[field] && (meta.highlights || {})[field]);
  return found.map(({ field, made_by: maker }) => el("p", { class: "found" },
    el("span", { class: "found-label" }, t(LABELS[field])), " ",
    field === (meta.opens_at || {}).field && isPlayable(item) && [playAt(item, moment(meta)), " "],
    el("span", { dir: "auto" }, marked(meta.highlights[field])), maker && [" ", machineMark(maker)]));
}

function playAt(item, at) {
  return el("button", { type: "button", class: "play-at", "aria-label": t("Play from {time}", { time: clock(at.start_s) }),
    onclick: () => play(item, at) }, clock(at.start_s));
}

function lineNode(item, line) {
  const second = line.start_s ?? line.at_s;
  const timed = ["video", "audio"].includes(item.type);
  return el("li", {},
    timed && [isPlayable(item) ? playAt(item, { start_s: second, end_s: line.end_s, description: line.text }) : el("time", {}, clock(second)), " "],
    el("span", { dir: "auto", lang: line.language || null }, line.text),
    line.probability !== undefined && el("span", { class: "found-label" }, ` ${Math.round(line.probability * 100)} %`));
}

/** In the panel: all that is said, written and seen, with its maker. */
export function foundSections(item) {
  const titles = { speech: "What is said", seen: "Text in the picture", looks: "What it looks like" };
  return Object.entries(titles).filter(([name]) => item[name]).map(([name, title]) =>
    el("section", { class: "found-in", "aria-labelledby": `found-${name}` },
      el("h3", { id: `found-${name}` }, t(title), item[name].made_by && [" ", machineMark(item[name].made_by)]),
      el("ol", {}, item[name].lines.map((line) => lineNode(item, line)))));
}
