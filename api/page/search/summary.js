// What was found, how long each stage took, and the filters in force.

import { t } from "../shared/texts.js";
import { byId, el, redraw, show } from "../shared/dom.js";
import { dayRange, facetName, facetValue, milliseconds, number, total, words } from "../shared/format.js";
import { FILTERS, toggled, unfiltered } from "../shared/state.js";
import { understood } from "./understood.js";

const HUES = 5; // classes stage-0 to stage-4 in the style sheet
const KINDS = [[/bm25|lexical/, "lex"], [/vector|hnsw|encod|embed/, "vec"], [/rerank/, "rer"]];

/** The colour of a stage: words, meaning and the reranker have the same colours on the whole page. */
function stageClass(name, number) {
  const kind = KINDS.find(([pattern]) => pattern.test(name));
  return `stage-${kind ? kind[1] : number % HUES}`;
}

const RETRIEVAL = ["encode", "lexical", "bm25", "vectors", "cosines"];
const SHOWN_MS = 0.05; // less would read as 0.0

/** The stages in order; retrieval is shown as its parts if they were timed. */
function stagesOf(timings) {
  const inside = RETRIEVAL.filter((name) => name in timings);
  return Object.keys(timings)
    .filter((name) => name !== "total" && !inside.includes(name))
    .flatMap((name) => (name === "retrieve" && inside.length ? inside : [name]))
    .map((name) => [name, timings[name]])
    .filter(([, spent]) => spent >= SHOWN_MS);
}

/** Each stage as a piece of one thin bar, with a legend; stages side by side overlap in time. */
function timing(timings) {
  const stages = stagesOf(timings);
  const sum = stages.reduce((all, [, spent]) => all + spent, 0);
  if (!sum) return [];
  const track = el("div", { class: "timing-bar", "aria-hidden": "true" });
  // On a phone the legend is one line that scrolls: keys must reach it.
  const narrow = matchMedia("(max-width: 640px)").matches;
  const legend = el("ul", { class: "timing-legend", "aria-label": t("Milliseconds per stage"), tabindex: narrow && "0" });
  stages.forEach(([name, spent], number) => {
    const piece = el("span", { class: stageClass(name, number), title: `${words(name)} ${milliseconds(spent)}` });
    piece.style.flexGrow = String(spent / sum);
    track.append(piece);
    legend.append(el("li", {}, el("i", { class: stageClass(name, number), "aria-hidden": "true" }), `${words(name)} `,
      el("b", {}, milliseconds(spent))));
  });
  return [track, legend];
}

function chips(state, go) {
  const made = [];
  const chip = (name, text, next) => made.push(el("button", {
    type: "button", class: "chip", "aria-label": t("Remove the filter {name}: {text}", { name, text }), onclick: () => go(next),
  }, el("span", { class: "chip-name" }, name), " ", text, el("span", { class: "chip-x", "aria-hidden": "true" }, "×")));
  for (const name of FILTERS) {
    for (const value of state.filters[name]) chip(facetName(name), facetValue(name, value), toggled(state, name, value));
  }
  if (state.since || state.until) {
    chip(t("Date"), dayRange(state.since, state.until), { ...state, since: "", until: "" });
  }
  if (made.length > 1) made.push(el("button", { type: "button", class: "plain", onclick: () => go(unfiltered(state)) }, t("Remove all filters")));
  return made;
}

/** What was found: the strong hits, where the answer has a floor; if there are none, it says that the others are only near. */
function found(data) {
  if (data.related_items === null) return total(data.total_items, data.total_relation);
  if (!data.total_items) return ["", t("Nothing found"), data.related_items ? t("; the nearest are") : ""];
  return ["", number(data.total_items), data.total_items === 1 ? t(" story") : t(" stories")];
}

export function showSummary(state, data, go) {
  const [before, count, after] = found(data);
  const spent = data.timings_ms.total;
  byId("total").replaceChildren(before, el("b", {}, count), after, data.counted === "groups" ? t(", near-duplicates folded") : "",
    el("span", { class: "total-how" }, ` · ${words(data.profile)}`, spent === undefined ? "" : ` · ${milliseconds(spent)}`));
  byId("timing").replaceChildren(...timing(data.timings_ms));
  redraw(byId("notes"), understood(state, data, go), byId("results"));
  redraw(byId("chips"), chips(state, go), byId("results"));
  show(byId("summary"), true);
}
