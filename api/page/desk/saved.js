// Saved searches are the account's followed topics: what is shown or updated from now on is matched
// with them. The page tells how many matches are new, and by mail they are told where a server is set.

import { follow, matches, topics, unfollow } from "../shared/client.js";
import { byId, el, show } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { FILTERS } from "../shared/state.js";
import { toast } from "../shared/toast.js";
import { t } from "../shared/texts.js";

const SEEN = "dateline-matches-seen";
const EVERY_MS = 60_000;
const OPERATORS = /\b(AND|OR|NOT)\b|[():"]/;

const quoted = (value) => `"${value.replaceAll('"', " ")}"`;
const alternatives = (name, values) => {
  const each = values.map((value) => `${name}:${quoted(value)}`);
  return each.length > 1 ? `(${each.join(" OR ")})` : each[0];
};

/** The query of a topic for what the page shows: words, filters and dates. Words in any order are enough. */
export function topicQuery(state) {
  const words = state.q.trim();
  const chosen = FILTERS.filter((name) => state.filters[name].length).map((name) => alternatives(name, state.filters[name]));
  const span = state.since || state.until ? [`versioncreated:[${state.since || "*"} TO ${state.until || "*"}]`] : [];
  const asked = words && (OPERATORS.test(words) && chosen.length + span.length ? `(${words})` : words);
  return [asked, ...chosen, ...span].filter(Boolean).join(" AND ");
}

const seen = () => Number(localStorage.getItem(SEEN)) || 0;

/** The matches that this reader has not seen, by topic, and where to go on. */
async function unseen() {
  const found = await matches(seen());
  const counts = new Map();
  for (const one of found.items) counts.set(one.topic, (counts.get(one.topic) || 0) + 1);
  return { counts, total: found.items.length, position: found.position };
}

function badge(total) {
  const mark = byId("saved-new");
  mark.textContent = total ? number(total) : "";
  show(mark, total > 0);
  byId("saved-button").setAttribute("aria-label", total ? t("Saved searches, {count} new", { count: total }) : t("Saved searches"));
}

function lineOf(topic, fresh, { dialog, go, again, failed }) {
  const run = () => { dialog.close(); go({ q: topic.query, sort: fresh ? "versioncreated:desc" : "" }); };
  const drop = async () => { try { await unfollow(topic.id); await again(); } catch (error) { dialog.close(); failed(error); } };
  return el("li", {},
    el("button", { type: "button", onclick: run }, el("span", {}, topic.name, el("small", {}, topic.query)),
      fresh ? el("b", { class: "fresh" }, t("{count} new", { count: fresh })) : ""),
    el("button", { type: "button", class: "close small", "aria-label": t("No longer follow {name}", { name: topic.name }), onclick: drop }, "×"));
}

function saveForm(state, { again, dialog }) {
  const query = topicQuery(state);
  if (!query) return el("p", {}, t("Search for something, and keep it here."));
  const said = el("p", { class: "said", role: "status", hidden: true });
  const name = el("input", { type: "text", required: true, maxlength: "100", value: (state.q || query).slice(0, 100) });
  const mail = el("input", { type: "email", multiple: true, placeholder: "desk@example.com" });
  const save = async (event) => {
    event.preventDefault();
    try {
      const made = await follow(name.value, query, mail.value.split(/[,\s]+/).filter(Boolean));
      await again();
      toast(t("Saved. What comes in and matches {reads} is told here.", { reads: made.reads }));
    } catch (error) {
      said.replaceChildren(el("b", {}, error.message), " ", error.mend || "");
      show(said, true);
    }
  };
  return el("form", { class: "save-form", onsubmit: save },
    el("h3", {}, t("Save this search")), el("p", {}, el("code", {}, query)),
    el("label", {}, t("Name"), name), el("label", {}, t("Mail new matches to"), mail), said,
    el("div", { class: "box-actions" }, el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("Cancel")), el("button", { class: "go" }, t("Save"))));
}

/** Shows the saved searches, what is new for each, and a form for the present one. */
export async function showSaved(state, { go, failed }) {
  const dialog = byId("picker");
  const again = async () => {
    const [all, fresh] = await Promise.all([topics(), unseen()]);
    localStorage.setItem(SEEN, String(fresh.position));
    badge(0);
    dialog.replaceChildren(
      el("header", { class: "box-head" }, el("h2", { id: "picker-title" }, t("Saved searches")), el("button", { type: "button", class: "close", "aria-label": t("Close"), onclick: () => dialog.close() }, "×")),
      all.length ? el("ul", { class: "basket-list" }, all.map((topic) => lineOf(topic, fresh.counts.get(topic.id) || 0, { dialog, go, again, failed }))) : "",
      saveForm(state, { again, dialog }));
  };
  try {
    await again();
    if (!dialog.open) dialog.showModal();
    dialog.querySelector(".basket-list button, input")?.focus();
  } catch (error) { failed(error); }
}

/** Asks now and then for new matches. A service without topics shows no button. */
export async function watchMatches() {
  try {
    const all = await topics();
    show(byId("saved-button"), true);
    badge(all.length ? (await unseen()).total : 0);
    setTimeout(watchMatches, EVERY_MS);
  } catch (error) {
    if (error.status === 404) show(byId("saved-button"), false);
    else setTimeout(watchMatches, EVERY_MS);
  }
}
