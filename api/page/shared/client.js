// Talks to the API, as any customer's program would.

import { t } from "./texts.js";
import { isEngineer } from "../search/engineer.js";
import { reader } from "./format.js";
import { FILTERS, ignored } from "./state.js";

const FACETS = "type,subject,place,person,organisation,rights,source,credit,orientation,size,versioncreated";
const STORED = "dateline-key";

export class ApiError extends Error {
  constructor({ message, mend = "", code = "", field = "", status = 0, id = "" }) {
    super(message);
    Object.assign(this, { mend, code, field, status, id });
  }
}

const asked = new Map(); // the kept query whose answer showed a hit, by uri; "" for one that is not kept
let useLog = { asked: false, agreed: false }; // whether the key's searches may be kept, and the reader agrees
let readKey = sessionStorage.getItem(STORED) || "";
let deskKey = "";

/** Takes the keys of the demo, or the reader's own; one that may write is the desk's, too. */
export function useKeys(config) {
  readKey = config.demo_key || readKey;
  deskKey = config.desk ? config.demo_ingest_key || readKey : "";
}

export function useKey(key) {
  readKey = key;
  sessionStorage.setItem(STORED, key);
}

/** Takes what a reader said to the use log. Without a yes, no search and no event is kept. */
export const keepUse = (answer) => { useLog = answer; };

export const hasKey = () => Boolean(readKey);
export const hasDesk = () => Boolean(deskKey);

/** Tells readers, who see no headers, when a key that has used up its share may ask again. */
function later(response) {
  if (response.status !== 429) return {};
  const seconds = Number(response.headers.get("retry-after")) || 1;
  return {
    message: t("Your key has asked for more than its share just now."),
    mend: seconds === 1 ? t("Search again in a second. If it comes back, ask for a larger share.") : t("Search again in {seconds} seconds. If it comes back, ask for a larger share.", { seconds }),
  };
}

/** One call; throws ApiError with the service's own message. */
async function call(path, { key = readKey, method = "GET", body, text, picture, signal } = {}) {
  const headers = key ? { "x-api-key": key } : {};
  if (body) headers["content-type"] = "application/json";
  if (text) headers["content-type"] = "text/plain; charset=utf-8";
  if (picture) headers["content-type"] = picture.type;
  let response;
  let answer;
  try {
    response = await fetch(path, { method, headers, signal, body: text || picture || (body && JSON.stringify(body)) });
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({
      message: t("The service did not answer."),
      mend: t("Check that it is running and that you are connected, then search again."),
    });
  }
  if (!response.ok) {
    throw new ApiError({ message: t("The service answered {status}.", { status: response.status }), id: answer.id, ...answer.error, ...later(response) });
  }
  return answer;
}

/** A list's value as the API reads it: in quotes if it has a comma. */
const listed = (value) => (/[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/** One search, in the reader's zone and locale, unless the service does not know them. */
export async function search(state, options = {}) {
  const sent = { ...reader }; // another search may have changed it meanwhile
  try {
    return await searchOnce(state, options);
  } catch (error) {
    if (!sent[error.field]) throw error;
    reader[error.field] = "";
    return search(state, options);
  }
}

/** The facets with a filter. They are counted without it, so that readers can add values. */
function openFacets(state) {
  const dated = state.since || state.until ? ["versioncreated"] : [];
  return [...FACETS.split(",").filter((name) => (state.filters[name] || []).length), ...dated];
}

async function searchOnce(state, { profile = "", cursor = "", size = 20, facets = true, whyMissing = "", aside = false, signal } = {}) {
  const params = new URLSearchParams({ page_size: size });
  if (useLog.asked && !useLog.agreed) params.set("use_log", "false");
  if (isEngineer()) params.set("explain", "true");
  if (facets) params.set("facets", FACETS);
  if (facets) params.set("facet_limit", "12");
  const open = facets ? openFacets(state).join(",") : "";
  if (open) params.set("open_facets", open);
  // A list by date has everything and is not folded.
  if (state.fold && (state.similar_to || !state.sort)) params.set("fold", state.fold);
  // A "more like this" search has no query and no other order.
  const given = state.text || state.picture;
  const own = (name) => !given || name !== "q";
  const names = state.similar_to ? ["similar_to", "since", "until"] : ["q", "since", "until", "sort", "dates", "entities"];
  for (const name of names) if (state[name] && own(name)) params.set(name, state[name]);
  for (const name of FILTERS) {
    for (const value of state.filters[name]) params.append(name, listed(value));
  }
  if (!state.similar_to) for (const text of ignored(state)) params.append("ignore", listed(text));
  if (facets && state.facet_subjects) params.set("facet_subjects", state.facet_subjects);
  if (profile || state.profile) params.set("profile", profile || state.profile);
  if (cursor) params.set("cursor", cursor);
  if (whyMissing) params.set("why_missing", whyMissing);
  for (const name of ["tz", "locale"]) if (reader[name]) params.set(name, reader[name]);
  const posted = given ? { method: "POST", text: state.text, picture: state.picture } : {};
  const { data } = await call(`content/search?${params}`, { ...posted, signal });
  if (!aside) for (const { item } of data.items) asked.set(item.uri, data.query_id);
  return data;
}

/** Tells the service what was done with a hit ("click", "download", "save"), if this may be kept. */
export function used(uri, action) {
  if (!asked.get(uri) || !useLog.agreed) return;
  const told = { action_name: action, query_id: asked.get(uri), event_attributes: { object: { object_id: uri, object_id_field: "uri" } } };
  call("v1/events", { method: "POST", body: told }).catch(() => {}); // a reader loses nothing by it
}

/** Completions of the typed text. */
export async function suggestions(text, { limit, signal }) {
  const params = new URLSearchParams({ q: text.slice(0, 200), limit });
  return (await call(`v1/suggest?${params}`, { signal })).data.items;
}

/** One whole item, with its chain. */
export async function story(uri) {
  return (await call(`content/${encodeURIComponent(uri)}?versions=all`)).data;
}

// --- the desk

const ofItem = (uri, part) => `content/${encodeURIComponent(uri)}/${part}`;

/** Changes an item's state: `pubstatus`, `embargoed` and a `reason`. */
export const setStatus = (uri, change) => call(ofItem(uri, "status"), { key: deskKey, method: "PATCH", body: change });

/** What the desk sees of an item: its state, who received it, what is hidden, what was done. */
export const deskLook = async (uri) => (await call(ofItem(uri, "status"), { key: deskKey })).data;

/** Records the next version with other texts. */
export const correct = (uri, body) => call(ofItem(uri, "correction"), { key: deskKey, method: "POST", body });

/** What the desk did lately. */
export const deskLog = async () => (await call("v1/desk/log", { key: deskKey })).data.entries;

/** What the page opens with, and what the reader's key may do. */
export const configuration = () => call("page/config");

// --- baskets and saved searches

const BASKETS = "v1/baskets";
const inBasket = (id, uri) => `${BASKETS}/${id}/items/${encodeURIComponent(uri)}`;

export const baskets = async () => (await call(BASKETS)).data.items;
export const basket = async (id, signal) => (await call(`${BASKETS}/${encodeURIComponent(id)}`, { signal })).data;
export const createBasket = async (name) => (await call(BASKETS, { method: "POST", body: { name } })).data;
export const changeBasket = (id, change) => call(`${BASKETS}/${id}`, { method: "PATCH", body: change });
export const removeBasket = (id) => call(`${BASKETS}/${id}`, { method: "DELETE" });
export const putIn = (id, uri) => call(inBasket(id, uri), { method: "PUT" });
export const takeOut = (id, uri) => call(inBasket(id, uri), { method: "DELETE" });

export const topics = async () => (await call("v1/topics")).data.items;
export const follow = async (name, query, emails) => (await call("v1/topics", { method: "POST", body: { name, query, emails } })).data;
export const unfollow = (id) => call(`v1/topics/${id}`, { method: "DELETE" });
export const matches = async (after) => (await call(`v1/topics/matches?after=${after}&limit=500`)).data;

// --- downloads

/** A text as a file in one of its forms. */
export async function textForm(uri, form) {
  const response = await fetch(ofItem(uri, `renditions/${form}`), { headers: readKey ? { "x-api-key": readKey } : {} });
  if (response.ok) return response.blob();
  const answer = await response.json().catch(() => ({}));
  throw new ApiError({ message: t("The service answered {status}.", { status: response.status }), ...answer.error });
}

/** Asks for the first byte of a file, which orders it where files are sold; throws what forbids it. */
export async function download(href) {
  const response = await fetch(href, { headers: { range: "bytes=0-0" } });
  if (response.ok) return;
  const answer = await response.json().catch(() => ({}));
  throw new ApiError({ message: t("The service answered {status}.", { status: response.status }), ...answer.error });
}

/** The price that an error asks to agree to; null for another error. */
export function priceOf({ code, mend }) {
  const [, price, currency] = /price=([\d.]+) and currency=(\w+)/.exec(code === "price_not_acknowledged" ? mend : "") || [];
  return price ? { price, currency } : null;
}
