// Filters with counts. A click adds a value, another takes it away.

import { byId, el, redraw, show } from "../shared/dom.js";
import { t } from "../shared/texts.js";
import { daysOf, facetName, facetValue, number } from "../shared/format.js";
import { toggled } from "../shared/state.js";

const ORDER = ["type", "versioncreated", "place", "person", "organisation", "subject", "orientation", "size", "rights", "credit", "source", "language"];
const SHOWN = 6; // values of each facet at first, besides chosen ones
const LONG = 20; // letters; a longer name may not fit

function isOn(state, name, value) {
  if (name !== "versioncreated") return state.filters[name].includes(value);
  const [since, until] = daysOf(value);
  return state.since === since && state.until === until;
}

function next(state, name, value) {
  if (name !== "versioncreated") return toggled(state, name, value);
  const [since, until] = daysOf(value);
  return isOn(state, name, value) ? { ...state, since: "", until: "" } : { ...state, since, until };
}

function valueButton(state, name, { value, count }, largest, go) {
  const on = isOn(state, name, value);
  const text = facetValue(name, value);
  const button = el("button", { type: "button", class: "facet-value", "data-keep": `${name} ${value}`, "aria-pressed": String(on), onclick: () => go(next(state, name, value)) },
    el("span", { class: "facet-name", title: text.length > LONG && text }, text),
    el("span", { class: "facet-count" }, number(count)));
  button.style.setProperty("--share", `${(count / largest) * 100}%`);
  return el("li", {}, button);
}

/** Whether a subject also counts for the topics above it. */
function broaderSwitch(state, go) {
  const on = state.facet_subjects === "broader";
  return el("button", { type: "button", class: "plain more-values", "data-keep": "broader", "aria-pressed": String(on),
    onclick: () => go({ ...state, facet_subjects: on ? "" : "broader" }) }, t(on ? "Only as filed" : "With broader topics"));
}

function facetNode(state, name, counts, go) {
  const largest = Math.max(...counts.map((one) => one.count), 1);
  // Dates are in order; other values stay in the service's order, by count.
  const ordered = name === "versioncreated" ? [...counts].sort((a, b) => b.value.localeCompare(a.value)) : counts;
  const items = ordered.map((one) => valueButton(state, name, one, largest, go));
  const list = el("ul", {}, items);
  const rest = items.filter((item, at) => at >= SHOWN && !isOn(state, name, ordered[at].value));
  rest.forEach((item) => { item.hidden = true; });
  const more = rest.length > 0 && el("button", {
    type: "button", class: "plain more-values", "aria-label": t("{count} more: {name}", { count: rest.length, name: facetName(name) }),
    onclick: (event) => {
      rest.forEach((item) => { item.hidden = false; });
      event.currentTarget.remove();
      rest[0].querySelector("button").focus();
    },
  }, t("{count} more", { count: rest.length }));
  return el("section", { class: "facet" }, el("h3", {}, facetName(name)), list, more, name === "subject" && broaderSwitch(state, go));
}

export function showFacets(state, facets, go) {
  const nodes = ORDER.filter((name) => (facets[name] || []).length)
    .map((name) => facetNode(state, name, facets[name], go));
  redraw(byId("facets"), nodes, byId("results"));
  show(byId("rail"), nodes.length > 0);
}
