// The question, kept in the page's address, so that links can be sent and the back button works.

export const FILTERS = ["type", "subject", "place", "person", "organisation", "language", "rights", "source", "credit", "orientation", "size"];
const SINGLES = ["q", "since", "until", "sort", "profile", "dates", "entities", "fold", "similar_to", "facet_subjects", "basket"];

export function emptyState() {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, []]));
  return { q: "", since: "", until: "", sort: "", profile: "", dates: "", entities: "", fold: "", similar_to: "", facet_subjects: "", ignore: [], compare: false, open: "", text: "", picture: null, basket: "", filters };
}

/** The state in an address's query string; null for an empty one. */
export function readState(query) {
  const params = new URLSearchParams(query);
  const state = emptyState();
  for (const name of SINGLES) state[name] = params.get(name) || "";
  for (const name of FILTERS) state.filters[name] = params.getAll(name).filter(Boolean);
  state.ignore = params.getAll("ignore").filter(Boolean);
  state.compare = params.get("compare") === "1";
  state.open = params.get("open") || "";
  return [...params.keys()].length ? state : null;
}

export function writeState(state) {
  const params = new URLSearchParams();
  // An empty query is written too: an address without any opens on the first example.
  params.set("q", state.q);
  for (const name of SINGLES.slice(1)) if (state[name]) params.set(name, state[name]);
  for (const name of FILTERS) for (const value of state.filters[name]) params.append(name, value);
  for (const text of ignored(state)) params.append("ignore", text);
  if (state.compare) params.set("compare", "1");
  if (state.open) params.set("open", state.open);
  return `?${params}`;
}

/** The state of an example of the service's configuration. */
export function exampleState(example) {
  const { text = "", ...params } = example.params;
  return { ...(readState(new URLSearchParams(params).toString()) || emptyState()), text };
}

const plain = (text) => text.toLowerCase().trim().split(/\s+/).join(" ");

/** The dates and names to take as words that the query still has. */
export const ignored = (state) => state.ignore.filter((text) => plain(state.q).includes(plain(text)));

/** Takes a date or name as words, or reads it again if it was taken so. */
export function toggledIgnore(state, text) {
  const others = ignored(state).filter((one) => plain(one) !== plain(text));
  return { ...state, ignore: others.length < ignored(state).length ? others : [...others, text] };
}

/** Adds a filter's value, or removes it if it is set. */
export function toggled(state, name, value) {
  const values = state.filters[name];
  const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  return { ...state, filters: { ...state.filters, [name]: next } };
}

export const hasFilters = (state) =>
  Boolean(state.since || state.until || FILTERS.some((name) => state.filters[name].length));

/** The same question without any filter. */
export function unfiltered(state) {
  return { ...emptyState(), q: state.q, sort: state.sort, dates: state.dates, ignore: state.ignore, facet_subjects: state.facet_subjects, profile: state.profile, fold: state.fold, similar_to: state.similar_to, text: state.text, picture: state.picture, compare: state.compare };
}
