// What was made of the query: dates and names as chips that can be taken out one by one, and
// everything that was not taken literally.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";
import { daysIn, inWords, withArticle } from "../shared/format.js";
import { toggledIgnore } from "../shared/state.js";

const KINDS = { PER: "person", ORG: "organisation", LOC: "place", MISC: "name" };
const USES = { boost: "ranks higher", filter: "asked for" };

function chip(name, text, label, act, off = false) {
  return el("button", { type: "button", class: off ? "chip chip-off" : "chip", "aria-label": `${name} ${text}: ${label}`, "data-keep": name, onclick: act },
    el("span", { class: "chip-name" }, name), " ", text, el("span", { class: "chip-x", "aria-hidden": "true" }, off ? "↺" : "×"));
}

/** What was understood but is taken as words, because the reader chose so. */
function wordsChip(state, text, what, go) {
  return chip(text, t("taken as words"), t("Read “{text}” as {what} again", { text, what: t(withArticle(what)) }), () => go(toggledIgnore(state, text)), true);
}

/** The query with characters (not code units) `start` to `end` replaced. */
function replaced(query, start, end, text) {
  const characters = Array.from(query);
  return [...characters.slice(0, start), text, ...characters.slice(end)].join("");
}

/** A date with its days in the reader's zone, and the other reading if it has one. */
function dateChips(state, span, go) {
  if (span.ignored) return [wordsChip(state, span.text, "date", go)];
  const days = daysIn(span.since, span.until);
  const nodes = [chip(span.text, days, t("Take “{text}” ({what}) as words, not as a date", { text: span.text, what: days }), () => go(toggledIgnore(state, span.text)))];
  if (span.other) {
    nodes.push(el("button", { type: "button", class: "plain other-reading",
      onclick: () => go({ ...state, q: replaced(state.q, span.start, span.end, span.other) }) }, t("or {text}?", { text: inWords(span.other) })));
  }
  return nodes;
}

const TYPES = { picture: "pictures", video: "videos", audio: "sound", graphic: "graphics" };

/** Words for a kind of item, which set the type. */
function kindChip(state, span, go) {
  if (span.ignored) return wordsChip(state, span.text, "kind of story", go);
  const named = span.types.map((type) => t(TYPES[type] || type)).join(t(" and "));
  const types = span.widened ? t("all kinds") : t("only {types}", { types: named });
  return chip(span.text, types, t("Take “{text}” ({what}) as words, not as a kind", { text: span.text, what: types }), () => go(toggledIgnore(state, span.text)));
}

function nameChip(state, found, go) {
  const { text, field, canonical, aliases = [], use } = found;
  if (found.ignored) return wordsChip(state, text, field, go);
  const also = aliases.length ? t(" (also {names})", { names: aliases.join(", ") }) : "";
  const told = `${t(field)}${canonical === text ? "" : ` ${canonical}`}${also}, ${t(USES[use] || "known")}`;
  return chip(text, told, t("Take “{text}” as words, not as the {field} {name}", { text, field: t(field), name: canonical }), () => go(toggledIgnore(state, text)));
}

/** Chips for what the reader has switched: off, or to filtering. */
function switches(state, go) {
  const nodes = [];
  if (state.dates === "off") nodes.push(chip(t("Dates"), t("taken as words"), t("Read dates as dates again"), () => go({ ...state, dates: "" })));
  if (state.entities === "off") nodes.push(chip(t("Names"), t("taken as words"), t("Look for names again"), () => go({ ...state, entities: "" })));
  if (state.entities === "filter") nodes.push(chip(t("Only stories with"), t("all of the names"), t("Let the names rank only"), () => go({ ...state, entities: "" })));
  return nodes;
}

function understoodLine(state, { entities = [], dates = [], kinds = [] }, go) {
  const known = entities.filter((found) => found.canonical);
  const read = known.filter((found) => !found.ignored);
  const boosting = read.some((found) => found.use === "boost");
  const nodes = [...kinds.map((span) => kindChip(state, span, go)), ...dates.flatMap((span) => dateChips(state, span, go)), ...known.map((found) => nameChip(state, found, go)),
    boosting && el("button", { type: "button", class: "plain", onclick: () => go({ ...state, entities: "filter" }) },
      read.length > 1 ? t("Only stories with all of them") : t("Only stories with it")),
    ...switches(state, go)].filter(Boolean);
  return nodes.length ? el("div", { class: "understood", role: "group", "aria-label": t("What was understood") },
    el("span", { class: "understood-label" }, t("Understood")), nodes) : null;
}

/** Another spelling of the query, which the reader may take. */
function suggestion(state, data, go) {
  if (!data.suggestion) return null;
  const take = el("button", { type: "button", class: "chip", onclick: () => go({ ...state, q: data.suggestion }) }, data.suggestion);
  return el("p", { class: "suggestion" }, t("Did you mean "), take, "?");
}

/** What a search for the like compared, by the service's note. */
const COMPARED = {
  "compared: looks": () => t("Compared by looks"), "compared: words": () => t("Compared by words"), "compared: words and looks": () => t("Compared by words and by looks"),
};

/** What is said where no item of the kinds that the query asks for answers. */
function widened(kinds) {
  const types = [...new Set(kinds.filter((span) => span.widened).flatMap((span) => span.types))];
  if (!types.length) return [];
  const named = types.map((type) => t(TYPES[type] || type)).join(t(" or "));
  return [el("li", { class: "widened" }, t("No {types} with this: other kinds are shown.", { types: named }))];
}

/** What has no chip: unknown names, notes, and stages that were cut short. */
function notes({ entities = [], kinds = [], notes: said = [] }, degraded) {
  const lines = [
    ...widened(kinds),
    ...entities.filter((found) => !found.canonical && !found.ignored).map((found) => el("li", {}, el("b", {}, found.text),
      t(" read as {what} that no story here is filed under", { what: t(withArticle(found.field || KINDS[found.label] || "name")) }))),
    ...said.map((note) => el("li", {}, COMPARED[note]?.() || note)),
    ...degraded.map((flag) => el("li", { class: "degraded" }, el("b", {}, t("Partial answer: ")), flag)),
  ];
  return lines.length ? el("ul", { "aria-label": t("Notes") }, lines) : null;
}

/** Everything that the answer says of the query. */
export function understood(state, data, go) {
  const made = data.understood || {};
  return [suggestion(state, data, go), understoodLine(state, made, go), notes(made, data.degraded || [])].filter(Boolean);
}
