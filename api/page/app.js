// The page: one state, and one way to show it. The address has everything that is asked for.

import { configuration, hasDesk, hasKey, search, story, used, useKey, useKeys } from "./shared/client.js";
import { comparison } from "./search/compare.js";
import { basketAnswer, basketHead, basketNodes, keep, showBaskets, takeOut } from "./desk/baskets.js";
import { chooseNone, listenToChosen, toggle } from "./desk/chosen.js";
import { useConsent } from "./search/consent.js";
import { listenToCoverage } from "./search/coverage.js";
import { isGrid, setGrid, tiles } from "./search/grid.js";
import { listenToLightbox, look } from "./lightbox/lightbox.js";
import { relatedPictures } from "./story/related.js";
import { showSaved, watchMatches } from "./desk/saved.js";
import { toast } from "./shared/toast.js";
import { locale, offerLanguage, t, translateDocument } from "./shared/texts.js";
import { byId, el, redraw, show } from "./shared/dom.js";
import { makeDesk } from "./edit/desk.js";
import { isEngineer, listenToEngineer, showAsEngineer } from "./search/engineer.js";
import { showFacets } from "./search/facets.js";
import { reader } from "./shared/format.js";
import { hitNodes } from "./search/hits.js";
import { listenToKeys } from "./shared/keys.js";
import { forgetMissing, listenToMissing } from "./search/missing.js";
import { nothing } from "./search/nothing.js";
import { askLicence } from "./lightbox/licence.js";
import { listenToStory } from "./story/actions.js";
import { showPanelProblem, showStory } from "./story/panel.js";
import { listenToPastes, pastedChip } from "./search/pasted.js";
import { emptyState, exampleState, readState, toggled, writeState } from "./shared/state.js";
import { similarChip } from "./search/similar.js";
import { listenToSpan, showSpan } from "./search/spans.js";
import { listenToSuggestions } from "./search/suggest.js";
import { showSummary } from "./search/summary.js";

const COMPARED = 10;
let config = { examples: [], desk: false };
let state = emptyState();
let running = null; // the AbortController of the search in progress
const metas = new Map(); // what the last answer said of each hit, by uri
let shownHits = []; // of the shown answer, in order
let following = null; // shows the next page of the answer, and returns its hits; null at the end
const headlines = new Map(); // of every hit shown so far, by uri

// --- asking

const kept = () => (state.text || state.picture ? { text: state.text, picture: state.picture } : null);

/** Makes `next` the state, in the address too, and shows its answer. */
function go(next, { replace = false } = {}) {
  // A query or an item takes the place of a pasted text or picture, which is too long for the address.
  state = next.q || next.similar_to ? { ...next, text: "", picture: null } : next;
  history[replace ? "replaceState" : "pushState"](kept(), "", writeState(state));
  return answer();
}

async function answer() {
  if (state.compare) showAsEngineer();
  running?.abort();
  const own = new AbortController();
  running = own;
  shownHits = [];
  following = null;
  forgetMissing();
  showForm();
  show(byId("progress"), true);
  try {
    await (state.basket ? answerBasket(own.signal) : state.compare ? answerTwice(own.signal) : answerOnce(own.signal));
    show(byId("problem"), false);
    show(byId("columns"), true);
  } catch (error) {
    if (error.name !== "AbortError") {
      if (!isPassing(error) && error.status !== 401) forgetGiven();
      showProblem(error);
    }
  } finally {
    if (running === own) show(byId("progress"), false);
  }
}

async function answerOnce(signal) {
  const data = await search(state, { signal });
  remember(data);
  showSummary(state, data, go);
  byId("chips").prepend(...similarChip(state, headlines.get(state.similar_to.split("#t=")[0]), go), ...pastedChip(state, go));
  showFacets(state, data.facets, go);
  const list = draw(data.items);
  redraw(byId("results"), [...(list.length ? list : [nothing(state, data, config.examples, go)]), ...moreButton(data)], byId("results"));
}

/** The hits as a list or as a grid; `before` is the hit above them, if there is one. */
function draw(items, before) {
  byId("results").classList.toggle("grid", isGrid());
  return (isGrid() ? tiles : hitNodes)(items, address, actions(), before);
}

async function answerBasket(signal) {
  const read = await basketAnswer(state.basket, signal);
  remember({ items: read.hits });
  const does = { go: ask, failed: showProblem, again: answer,
    takeOut: async (uri) => { try { await takeOut(state.basket, uri); await answer(); } catch (error) { showProblem(error); } } };
  showBasketHead(basketHead(read, does));
  redraw(byId("results"), basketNodes(read, (one) => draw([one])[0], does), byId("results"));
}

/** A basket takes the place of the summary and of the filters. */
function showBasketHead(nodes) {
  byId("basket-head").replaceChildren(...nodes);
  for (const name of ["summary", "rail", "missing"]) show(byId(name), false);
}

async function answerTwice(signal) {
  const [lexical, hybrid] = await Promise.all([
    search(state, { profile: "lexical", size: COMPARED, facets: false, signal }),
    search(state, { profile: compared(), size: COMPARED, facets: false, signal }),
  ]);
  byId("results").classList.remove("grid");
  remember(lexical);
  remember(hybrid);
  showSummary(state, hybrid, go);
  byId("results").replaceChildren(comparison(lexical, hybrid, compared(), address, actions()));
}

/** The profile that is compared with words alone. */
const compared = () => (state.profile && state.profile !== "lexical" ? state.profile : "hybrid");

function remember(data) {
  for (const { meta, item } of data.items) {
    metas.set(item.uri, meta);
    shownHits.push({ meta, item });
    headlines.set(item.uri, item.headline);
  }
}

// --- showing

const address = (uri) => writeState({ ...state, open: uri });

/** Asks a new question, or for a basket. */
const ask = (next) => go({ ...emptyState(), ...next });

const hitOf = (uri) => shownHits.find(({ item }) => item.uri === uri);

const actions = () => ({
  go,
  failed: showProblem,
  keep: (item) => keep([item], { go: ask, failed: showProblem }),
  look: (uri, shot) => look(shownHits, uri, { ...actions(), following: () => following }, shot),
  open: openStory,
  filter: (name, value) => (state.filters[name].includes(value) ? null : go(toggled(state, name, value))),
  kill: hasDesk() ? desk.kill : null,
  // Two lists side by side have a score each: their hits are not compared with one another.
  shown: () => ({ others: state.compare ? [] : shownHits }),
});

function showForm() {
  for (const name of ["q", "since", "until", "sort", "profile"]) byId(name).value = state[name];
  showSpan(state);
  show(byId("profile-control"), isEngineer());
  byId("fold").disabled = Boolean(state.sort) && !state.similar_to;
  byId("fold").checked = Boolean(state.fold) && !byId("fold").disabled;
  show(byId("clear"), Boolean(state.q));
  // Without a question there is no best: the newest come first.
  const [best, newest] = byId("sort").options;
  best.text = state.q || state.similar_to || state.text || state.picture ? t("best first") : newest.text;
  newest.hidden = best.text === newest.text && state.sort !== newest.value;
  byId("compare").setAttribute("aria-checked", String(state.compare));
  byId("columns").classList.toggle("comparing", state.compare || Boolean(state.basket));
  show(byId("basket-head"), Boolean(state.basket));
  show(byId("missing"), isEngineer() && !state.basket);
  byId("list-view").setAttribute("aria-pressed", String(!isGrid()));
  byId("grid-view").setAttribute("aria-pressed", String(isGrid()));
  show(byId("views"), !state.compare);
  document.title = state.q ? `${state.q} – Dateline` : "Dateline";
  const at = config.examples.findIndex((one) => exampleState(one).text === state.text && writeState({ ...exampleState(one), compare: state.compare }) === writeState({ ...state, open: "" }));
  byId("examples").querySelectorAll("button").forEach((button, number) => {
    button.setAttribute("aria-pressed", String(number === at));
    if (number === at) byId("examples").scrollLeft = button.offsetLeft - 60; // one line that scrolls, on a phone
  });
  byId("example-why").textContent = at < 0 ? "" : t(config.examples[at].why);
  show(byId("example-why"), at >= 0 && config.examples[at].why);
}

function moreButton(data) {
  following = null;
  if (!data.cursor) return [];
  const button = el("button", { type: "button", class: "more", onclick: async () => {
    const [first] = await load();
    byId("results").querySelector(`a.headline[data-uri="${CSS.escape(first?.item.uri)}"]`)?.focus();
  } }, t("More stories"));
  const load = async () => {
    following = null; // one page at a time
    button.disabled = true;
    try {
      const next = await search(state, { cursor: data.cursor });
      remember(next);
      button.replaceWith(...draw(next.items, data.items.at(-1)), ...moreButton(next));
      return next.items;
    } catch (error) {
      button.disabled = false;
      following = load;
      showProblem(error);
      return [];
    }
  };
  following = load;
  return [button];
}

function askForKey() {
  if (!byId("key-dialog").open) byId("key-dialog").showModal();
}

/** Why a dropped file can't be searched by. */
const refused = (why) => toast(why === "large" ? t("The picture is larger than 16 MB.") : t("Drop a text or a picture."));

/** A text or picture that was refused is not asked again when the page is loaded anew or filtered. */
function forgetGiven() {
  if (!state.text && !state.picture) return;
  state = { ...state, text: "", picture: null };
  history.replaceState(kept(), "", writeState(state));
}

/** Whether the same question may succeed later: there was no answer, too many requests, or a fault. */
const isPassing = ({ status }) => !status || status === 410 || status === 429 || status >= 500;

function showProblem(error) {
  if (error.status === 401) askForKey();
  show(byId("summary"), false);
  byId("results").replaceChildren();
  byId("facets").replaceChildren();
  show(byId("columns"), false);
  byId("problem").replaceChildren(
    el("p", {}, el("b", {}, error.message)), error.mend ? el("p", {}, error.mend) : "",
    isPassing(error) ? el("button", { type: "button", class: "go again", onclick: answer }, t("Search again")) : "",
    error.id ? el("p", { class: "problem-id" }, t("Answer {id}", { id: error.id })) : "");
  show(byId("problem"), true);
}

// --- the desk

const desk = makeDesk({ answer, failed: showProblem, open: openStory, close: closeStory, titleOf: (uri) => headlines.get(uri) || uri });

/** Takes the key's rights: the desk's part of the page is there for a key that may change items. */
function useConfiguration(next) {
  config = next;
  useKeys(config);
  useConsent(config.use_log_days);
  show(byId("key-button"), !config.demo);
  show(byId("desk-button"), hasDesk());
}

/** Switches the engineer's view: the same question again, with or without its explanation. */
function engineerSwitched() {
  const leaves = state.compare && !isEngineer();
  return leaves ? go({ ...state, compare: false }) : answer();
}

// --- one story

async function openStory(uri, meta = metas.get(uri), part = "") {
  if (state.open !== uri) {
    state = { ...state, open: uri };
    history.pushState(kept(), "", writeState(state));
  }
  used(uri, "click");
  const panel = byId("panel");
  const { shown } = actions();
  const at = shownHits.findIndex((hit) => hit.item.uri === uri);
  const listed = shownHits[at];
  const place = at < 0 ? null : { at, count: shownHits.length, more: Boolean(following), step: stepStory };
  try {
    const data = await story(uri);
    if (state.open !== uri) return; // it was left while its answer was under way
    for (const { item } of [data, ...(data.versions || []).toReversed()]) headlines.set(item.uri, item.headline || headlines.get(item.uri));
    showStory(data, listed ? listed.meta : state.compare && meta, {
      place, does: { keep: () => actions().keep(data.item), look: lookFrom(data), go, step: place && stepStory },
      close: closeStory, open: openStory, shown, related: (item) => relatedPictures(item, (hits, at) => look(hits, at, actions())), desk: hasDesk() ? desk.section : null, part,
      missing: listed || state.compare || !isEngineer() ? null : askWhyMissing,
    });
  } catch (error) {
    if (state.open !== uri) return;
    if (error.status === 404 && hasDesk() && (await desk.showHidden(uri))) return;
    showPanelProblem(error, closeStory);
  }
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  byId("panel-title").focus({ preventScroll: true }); // the keys of an open story work from there
  if (part) byId("chain")?.scrollIntoView({ block: "start" });
}

/** Looks at an open story's picture or film: among those of the answer, else alone. */
const lookFrom = ({ item, meta }) => () =>
  actions().look(item.uri) || look([{ item, meta }], item.uri, actions());

/** Opens the story before or after the one that is open, on the next page too. */
async function stepStory(by) {
  const at = shownHits.findIndex(({ item }) => item.uri === state.open);
  if (at < 0) return;
  if (by > 0 && at === shownHits.length - 1) await following?.();
  const next = shownHits[at + by];
  if (next) await openStory(next.item.uri);
}

/** Asks by the form below the stories, where the answer appears. */
function askWhyMissing(uri) {
  closeStory();
  byId("missing").open = true;
  byId("missing-uri").value = uri;
  byId("missing-form").requestSubmit();
  byId("missing").scrollIntoView({ block: "center" });
  byId("missing-uri").focus({ preventScroll: true });
}

function closeStory() {
  byId("panel").close();
}

function storyClosed() {
  const uri = state.open;
  if (!uri) return;
  state = { ...state, open: "" };
  history.pushState(kept(), "", writeState(state));
  byId("results").querySelector(`a.headline[data-uri="${CSS.escape(uri)}"]`)?.focus();
}

// --- the start

/** The profiles that an engineer may choose; the first is the service's own. */
function showProfiles() {
  const own = el("option", { value: "" }, t("{name} (usual)", { name: config.default_profile }));
  const others = config.profiles.filter((name) => name !== config.default_profile);
  byId("profile").replaceChildren(own, ...others.map((name) => el("option", { value: name }, name)));
}

function showExamples() {
  const buttons = config.examples.map((example) => el("button", { type: "button", class: "example", title: t(example.why), "aria-pressed": "false",
    onclick: () => go({ ...exampleState(example), compare: state.compare || exampleState(example).compare }) }, t(example.label)));
  byId("examples").replaceChildren(el("span", { class: "examples-label" }, t("Try")), ...buttons);
  show(byId("examples"), buttons.length > 0);
}

function listen() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const read = (name) => byId(name).value.trim();
    // A query in words replaces the item of a "more like this" search.
    go({ ...state, q: read("q"), since: read("since"), until: read("until"), sort: read("sort"), open: "", basket: "", similar_to: read("q") ? "" : state.similar_to });
  });
  for (const name of ["since", "until", "sort", "profile"]) {
    byId(name).addEventListener("change", () => {
      const q = byId("q").value.trim();
      go({ ...state, q, [name]: byId(name).value, similar_to: q ? "" : state.similar_to });
    });
  }
  byId("q").addEventListener("input", () => show(byId("clear"), Boolean(byId("q").value)));
  const given = (what) => go({ ...state, q: "", text: "", picture: null, ...what, open: "", similar_to: "", basket: "" });
  listenToPastes((text) => given({ text }));
  listenToCoverage({ text: (text) => given({ text }), picture: (picture) => given({ picture }), refused });
  listenToLightbox();
  listenToStory(byId("panel"));
  listenToSpan((span) => go({ ...state, ...span }));
  listenToChosen((items) => keep(items, { go: ask, failed: showProblem, kept: chooseNone }));
  const view = (grid) => { setGrid(grid); answer(); };
  byId("list-view").addEventListener("click", () => view(false));
  byId("grid-view").addEventListener("click", () => view(true));
  byId("baskets-button").addEventListener("click", () => showBaskets({ go: ask, failed: showProblem }));
  byId("saved-button").addEventListener("click", () => showSaved(state, { go: ask, failed: showProblem }));
  byId("clear").addEventListener("click", () => { byId("q").value = ""; show(byId("clear"), false); byId("q").focus(); });
  listenToMissing(() => state, { go, open: openStory });
  listenToSuggestions((text) => go({ ...state, q: text, open: "", similar_to: "", basket: "" }));
  byId("fold").addEventListener("change", () => go({ ...state, fold: byId("fold").checked ? "near_duplicates" : "" }));
  byId("compare").addEventListener("click", () => go({ ...state, compare: !state.compare }));
  byId("panel").addEventListener("close", storyClosed);
  byId("panel").addEventListener("click", (event) => { if (event.target === byId("panel")) closeStory(); });
  byId("key-button").addEventListener("click", askForKey);
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
  byId("key-form").addEventListener("submit", async () => {
    useKey(byId("key").value.trim());
    byId("key").value = "";
    useConfiguration(await configuration());
    await restore();
  });
  byId("desk-button").addEventListener("click", () => desk.showLog().catch(showProblem));
  listenToEngineer(engineerSwitched);
  byId("shortcuts-button").addEventListener("click", () => byId("shortcuts").showModal());
  window.addEventListener("popstate", restore);
  listenToKeys({
    compare: () => go({ ...state, compare: !state.compare }), grid: () => view(!isGrid()),
    look: (uri) => actions().look(uri),
    choose: toggle,
    keep: (uri) => { const hit = hitOf(uri); if (hit) actions().keep(hit.item); },
    download: (uri) => { const hit = hitOf(uri); if (hit) askLicence(hit.item, hit.meta); },
  });
}

/** Shows the state in the address: at the start, and when the reader goes back. */
async function restore() {
  const first = config.examples[0];
  state = readState(location.search) || (first ? exampleState(first) : emptyState());
  state.text = history.state?.text || "";
  state.picture = history.state?.picture || null;
  if (!state.open && byId("panel").open) closeStory();
  await answer();
  if (state.open) await openStory(state.open);
}

async function start() {
  translateDocument();
  offerLanguage(byId("language-button"));
  const today = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  byId("edition-date").textContent = today.format(new Date());
  byId("zone").textContent = reader.tz ? t("days in {zone}", { zone: reader.tz.split("/").pop().replaceAll("_", " ") }) : "";
  if (matchMedia("(max-width: 900px)").matches) byId("facets-fold").open = false;
  if (matchMedia("(max-width: 640px)").matches) byId("fine").open = false;
  listen();
  useConfiguration(await configuration());
  showExamples();
  showProfiles();
  if (!hasKey()) askForKey();
  else await Promise.all([restore(), watchMatches()]);
}

start().catch(showProblem);
