// Words that are found in media: the lines that answer, and all of them in the panel.

import { t } from "../shared/texts.js";
import { el, marked } from "../shared/dom.js";
import { clock, isPlayable, machineMark, moment, play } from "../lightbox/media.js";

const LABELS = { speech: () => t("Said"), seen: () => t("Written there"), looks: () => t("Looks like"), filename: () => t("Name of the file") };
const TITLES = { speech: () => t("What is said"), seen: () => t("Text in the picture"), looks: () => t("What it looks like") };
const TIMED = ["video", "audio"];

/** Whether a hit opens at a line that is found in its media. */
export const isFound = (meta) => Boolean(meta.opens_at) && meta.opens_at.field in LABELS;

/** The hit's words that are found in its media, each line with who found it. The line that is the
 * hit's heading, where it has no other (`isHeading`), is named only. */
export function foundLines({ meta, item }, isHeading) {
  const { highlights = {}, found_in: fields = [], opens_at: opens } = meta;
  const found = fields.filter(({ field }) => field in LABELS && highlights[field]);
  const lines = { ...highlights };
  if (isFound(meta) && !found.some(({ field }) => field === opens.field)) { // by meaning alone
    found.unshift(opens);
    lines[opens.field] = opens.text;
  }
  return found.map(({ field, made_by: maker }) => {
    const isOpened = isFound(meta) && opens.field === field;
    return el("p", { class: "found" },
      el("span", { class: "found-label" }, LABELS[field]()), " ",
      isOpened && isPlayable(item) && [playAt(item, moment(meta)), " "],
      ...(isOpened && isHeading ? [] : [el("span", { dir: "auto" }, marked(lines[field])), maker && [" ", machineMark(maker)]]));
  });
}

function playAt(item, at) {
  const time = clock(at.start_s);
  return el("button", { type: "button", class: "play-at", "aria-label": t("Play from {time}", { time }), onclick: () => play(item, at) }, time);
}

function lineNode(item, line) {
  const at = { start_s: line.start_s ?? line.at_s, description: line.text };
  at.timecode = clock(at.start_s);
  return el("li", {},
    TIMED.includes(item.type) && [isPlayable(item) ? playAt(item, at) : el("time", {}, at.timecode), " "],
    el("span", { dir: "auto", lang: line.language || null }, line.text),
    line.probability !== undefined && el("span", { class: "found-label" }, ` ${Math.round(line.probability * 100)} %`));
}

/** In the panel: all that is said, written and seen, with its maker. */
export function foundSections(item) {
  return Object.keys(TITLES).filter((name) => item[name]).map((name) =>
    el("section", { class: "found-in", "aria-labelledby": `found-${name}` },
      el("h3", { id: `found-${name}` }, TITLES[name](), item[name].made_by && [" ", machineMark(item[name].made_by)]),
      el("ol", {}, item[name].lines.map((line) => lineNode(item, line)))));
}
