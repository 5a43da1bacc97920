// An answer without a hit: what to try.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";
import { exampleState, hasFilters, unfiltered } from "../shared/state.js";

const STRICT = /["]|\b(AND|NOT)\b/;

/** The query without operators that demand or forbid a word, so that any word may lead to a story. */
const loose = (q) => q.replace(/\bNOT\s+("[^"]*"|\([^)]*\)|\S+)/g, " ").replace(/["()]|\b(AND|OR)\b/g, " ").trim().split(/\s+/).join(" ");

function choice(text, next, go) {
  return el("li", {}, el("button", { type: "button", class: "plain", onclick: () => go(next) }, text));
}

function choices(state, data, go) {
  const words = STRICT.test(state.q) && loose(state.q);
  return [
    hasFilters(state) && choice(t("Search without the filters"), unfiltered(state), go),
    data.understood.dates.some((span) => !span.ignored) && choice(t("Take the dates in it as words"), { ...state, dates: "off" }, go),
    state.entities === "filter" && choice(t("Let the names rank only"), { ...state, entities: "" }, go),
    words && choice(t("Search for any of these words, and for what they mean"), { ...state, q: words }, go),
  ];
}

export function nothing(state, data, examples, go) {
  const tries = examples.slice(0, 3).map((example) => el("button", { type: "button", class: "example", onclick: () => go(exampleState(example)) }, example.label));
  return el("div", { class: "nothing" },
    el("h2", {}, state.q ? t("No story found for {text}", { text: state.q.includes("\"") ? state.q : `“${state.q}”` }) : t("No story found")),
    el("ul", {}, choices(state, data, go),
      el("li", {}, t("Say it in other words: the search knows meanings, too.")),
      el("li", {}, t("A story that was killed, withheld or is under embargo is never shown."))),
    tries.length > 0 && el("div", { class: "examples" }, el("span", { class: "examples-label" }, t("Try")), tries));
}
