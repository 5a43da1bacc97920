// What was found, how long each stage took, what was understood, and the filters in force.

import { byId, el, show } from "./dom.js";
import { facetName, facetValue, milliseconds, total, words } from "./format.js";
import { FILTERS, toggled } from "./state.js";

const HUES = 5; // classes stage-0 to stage-4 in the style sheet
const KINDS = [[/bm25|lexical/, "lex"], [/vector|hnsw|encod|embed/, "vec"], [/rerank/, "rer"]];

/** The colour of a stage: words, meaning and the reranker have theirs on the whole page. */
function stageClass(name, number) {
  const kind = KINDS.find(([pattern]) => pattern.test(name));
  return `stage-${kind ? kind[1] : number % HUES}`;
}

const RETRIEVAL = ["encode", "lexical", "bm25", "vectors", "cosines"];
const SHOWN_MS = 0.05; // less would read as 0.0

/** The stages in order; retrieval is shown as its own parts where they were timed. */
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
  const legend = el("ul", { class: "timing-legend", "aria-label": "Milliseconds per stage" });
  stages.forEach(([name, spent], number) => {
    const piece = el("span", { class: stageClass(name, number), title: `${words(name)} ${milliseconds(spent)}` });
    piece.style.flexGrow = String(spent / sum);
    track.append(piece);
    legend.append(el("li", {}, el("i", { class: stageClass(name, number), "aria-hidden": "true" }), `${words(name)} `,
      el("b", {}, milliseconds(spent))));
  });
  return [track, legend];
}

/** Names, dates and notes: everything of the query that was not taken literally. */
function notes(data) {
  const { entities = [], dates = [], notes: said = [] } = data.understood || {};
  const labels = { PER: "person", ORG: "organisation", LOC: "place", MISC: "name" };
  const lines = [
    ...entities.map((entity) => el("li", {}, el("b", {}, entity.text),
      ` read as ${entity.field || labels[entity.label] || "name"}${entity.canonical && entity.canonical !== entity.text ? ` ${entity.canonical}` : ""}`)),
    ...dates.map((span) => el("li", {}, el("b", {}, span.text),
      ` read as ${(span.since || "the beginning").slice(0, 10)} to before ${(span.until || "now").slice(0, 10)}`)),
    ...said.map((note) => el("li", {}, note)),
    ...(data.degraded || []).map((flag) => el("li", { class: "degraded" }, el("b", {}, "Cut short: "), words(flag))),
  ];
  return lines.length ? [el("ul", { "aria-label": "What was understood" }, lines)] : [];
}

/** Another spelling of the query, to be taken or left. */
function suggestion(state, data, go) {
  if (!data.suggestion) return [];
  const take = el("button", { type: "button", class: "chip", onclick: () => go({ ...state, q: data.suggestion }) }, data.suggestion);
  return [el("p", { class: "suggestion" }, "Did you mean ", take, "?")];
}

function chips(state, go) {
  const made = [];
  const chip = (name, text, next) => made.push(el("button", {
    type: "button", class: "chip", "aria-label": `Remove the filter ${name}: ${text}`, onclick: () => go(next),
  }, el("span", { class: "chip-name" }, name), text, el("span", { class: "chip-x", "aria-hidden": "true" }, "×")));
  for (const name of FILTERS) {
    for (const value of state.filters[name]) chip(facetName(name), facetValue(name, value), toggled(state, name, value));
  }
  if (state.since || state.until) {
    const text = [state.since || "…", state.until || "…"].join(" – ");
    chip("Date", text, { ...state, since: "", until: "" });
  }
  return made;
}

export function showSummary(state, data, go) {
  const [before, count, after] = total(data.total_items, data.total_relation);
  const spent = data.timings_ms.total;
  byId("total").replaceChildren(before, el("b", {}, count), after,
    el("span", { class: "total-how" }, ` · ${words(data.profile)}`, spent === undefined ? "" : ` · ${milliseconds(spent)}`));
  byId("timing").replaceChildren(...timing(data.timings_ms));
  byId("notes").replaceChildren(...suggestion(state, data, go), ...notes(data));
  byId("chips").replaceChildren(...chips(state, go));
  show(byId("summary"), true);
}
