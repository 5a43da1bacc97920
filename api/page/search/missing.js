// "Why is … not here?": which stage of this very search dropped a story, and what would keep it.

import { search } from "../shared/client.js";
import { t } from "../shared/texts.js";
import { byId, el } from "../shared/dom.js";
import { decimal, number } from "../shared/format.js";
import { hasFilters, unfiltered } from "../shared/state.js";

// In the order of the search; the last means that the item is there.
const PATH = [
  ["archive", "in the archive"], ["status", "usable"], ["entitlement", "yours to see"], ["story", "stands for its story"],
  ["filters", "fits the filters"], ["query", "has what is demanded"], ["retrieval", "near enough"], ["folded", "no copy of a better one"], ["none", "shown"],
];
const READABLE = ["none", "story", "filters", "query", "retrieval", "folded"]; // the reader may open it

/** The uri that a reader means: the text itself, or the uri in a link to this page or its API. */
export function uriOf(text) {
  const typed = text.trim();
  let link;
  try {
    link = new URL(typed, typed.startsWith("?") || typed.startsWith("/") ? location.href : undefined);
  } catch {
    return typed;
  }
  if (link.origin !== location.origin) return typed;
  const named = ["open", "similar_to", "why_missing"].map((name) => link.searchParams.get(name)).find(Boolean);
  const [, item] = link.pathname.match(/\/content\/([^/]+)$/) || [];
  return named || (item && item !== "search" ? decodeURIComponent(item) : typed);
}

function path(stage) {
  const at = PATH.findIndex(([name]) => name === stage);
  return el("ol", { class: "path", "aria-label": t("How far it came") }, PATH.map(([name, words], number_) => {
    const kind = number_ < at || stage === "none" ? "passed" : number_ === at ? "stopped" : "";
    const told = kind === "passed" ? t("yes: ") : kind === "stopped" ? t("no: ") : t("not looked at: ");
    return el("li", { class: kind }, el("span", { class: "unseen" }, told), t(words));
  }));
}

function retrievers(missing) {
  if (!missing.retrievers.length) return null;
  const score = (value) => (value === null ? "–" : decimal(value, 3));
  const told = missing.retrievers.some((one) => one.score !== undefined); // only keys that may inspect get scores
  return el("table", {},
    el("thead", {}, el("tr", {}, ["Retriever", "Its rank", told && "Its score", "List ends at"].filter(Boolean).map((title) => el("th", { scope: "col" }, t(title))))),
    el("tbody", {}, missing.retrievers.map((one) => el("tr", {}, el("th", { scope: "row" }, one.retriever),
      el("td", {}, one.rank ? `#${number(one.rank)}` : "–"), told && el("td", {}, score(one.score)),
      el("td", {}, `#${number(one.depth)}${told ? `, ${score(one.last_score)}` : ""}`)))));
}

function answerNodes(missing, state, { go, open }) {
  const { stage, reason, mend, uri } = missing;
  const words = missing.words.missing.length > 0 && t("Not in it: {words}. ", { words: missing.words.missing.join(", ") });
  const actions = [
    READABLE.includes(stage) && el("button", { type: "button", class: "plain", onclick: () => open(uri) }, t("Open it")),
    stage === "filters" && hasFilters(state) && el("button", { type: "button", class: "plain", onclick: () => go(unfiltered(state)) }, t("Search without the filters")),
  ].filter(Boolean);
  return [
    el("p", { class: "missing-said" }, `${reason[0].toUpperCase()}${reason.slice(1)}.`),
    path(stage), retrievers(missing),
    stage !== "none" && el("p", { class: "missing-mend" }, words, t("What would show it: {mend}. ", { mend }), actions.flatMap((node) => [node, " "])),
    stage === "none" && el("p", { class: "missing-mend" }, actions),
  ].filter(Boolean);
}

let question = 0; // counts the questions, to recognise late answers

/** Answers the form; `current` returns the shown state. */
export function listenToMissing(current, actions) {
  byId("missing-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const box = byId("missing-answer");
    const mine = (question += 1);
    try {
      const uri = uriOf(byId("missing-uri").value);
      if (!uri) { byId("missing-uri").focus(); return; }
      const data = await search(current(), { whyMissing: uri, size: 20, facets: false });
      if (mine === question) box.replaceChildren(...answerNodes(data.missing, current(), actions));
    } catch (error) {
      if (mine !== question) return; // it was about another search
      box.replaceChildren(el("p", { class: "missing-said" }, error.message), el("p", { class: "missing-mend" }, error.mend || ""));
    }
  });
}

/** Clears the answer, which was about another search. */
export function forgetMissing() {
  question += 1;
  byId("missing-answer").replaceChildren();
}
