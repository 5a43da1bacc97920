// Baskets: items that an account keeps together. One is filled from any hit, and read as an answer of
// its own; a shared one is read by everybody who has its address, each as far as the own key sees.

import { basket, baskets, changeBasket, createBasket, putIn, removeBasket, takeOut, used } from "../shared/client.js";
import { byId, el, show, unmarked } from "../shared/dom.js";
import { plural, time } from "../shared/format.js";
import { passOn, toast } from "../shared/toast.js";
import { t } from "../shared/texts.js";

const STATES = { canceled: "Killed", expired: "Expired", hidden: "Not shown any more" };
const address = (id) => `?${new URLSearchParams({ basket: id })}`;

function head(title, close) {
  return el("header", { class: "box-head" }, el("h2", { id: `${title.id}-title` }, title.text),
    el("button", { type: "button", class: "close", "aria-label": t("Close"), onclick: close }, "×"));
}

function nameForm(label, done) {
  const field = el("input", { type: "text", maxlength: "100", required: true, "aria-label": label, placeholder: label });
  return el("form", { class: "line-form", onsubmit: (event) => { event.preventDefault(); done(field.value); } },
    field, el("button", { type: "submit", class: "go" }, t("Begin")));
}

/** Asks which basket items go into, and puts them there. */
export async function keep(items, { failed, go, kept = () => {} }) {
  const dialog = byId("picker");
  const into = async (id, name) => {
    try {
      for (const { uri } of items) {
        await putIn(id, uri);
        used(uri, "save");
      }
      dialog.close();
      kept();
      toast(t("In the basket “{name}”.", { name }), [t("Show it"), () => { byId("lightbox").close(); go({ basket: id }); }]);
    } catch (error) { dialog.close(); failed(error); }
  };
  const begin = async (name) => {
    try { const made = await createBasket(name); await into(made.id, made.name); } catch (error) { dialog.close(); failed(error); }
  };
  try {
    const found = await baskets();
    dialog.replaceChildren(head({ id: "picker", text: t("Into which basket?") }, () => dialog.close()),
      el("ul", { class: "basket-list" }, found.map((one) => el("li", {}, el("button", { type: "button", onclick: () => into(one.id, one.name) },
        el("span", {}, one.name), el("span", { class: "facet-count" }, plural(one.count, "item", "items")))))),
      nameForm(t("A new basket"), begin));
    dialog.showModal();
    dialog.querySelector(".basket-list button, input")?.focus();
  } catch (error) { failed(error); }
}

/** Shows the account's baskets. */
export async function showBaskets({ go, failed }) {
  const dialog = byId("picker");
  try {
    const found = await baskets();
    dialog.replaceChildren(head({ id: "picker", text: t("Baskets") }, () => dialog.close()),
      found.length ? el("ul", { class: "basket-list" }, found.map((one) => el("li", {}, el("button", { type: "button", onclick: () => { dialog.close(); go({ basket: one.id }); } },
        el("span", {}, one.name), el("span", { class: "facet-count" }, plural(one.count, "item", "items"), one.shared && ` · ${t("shared")}`)))))
        : el("p", {}, t("No basket yet. Each story and each picture has a button “Basket”.")),
      nameForm(t("A new basket"), async (name) => {
        try { const made = await createBasket(name); dialog.close(); go({ basket: made.id }); } catch (error) { dialog.close(); failed(error); }
      }));
    dialog.showModal();
    dialog.querySelector(".basket-list button, input")?.focus();
  } catch (error) { failed(error); }
}

/** What is left of an item that was taken away: its place, and what became of it. */
function tombstone({ meta, item }, own, actions) {
  return el("article", { class: "hit tomb", "data-uri": item.uri },
    el("p", { class: "kicker" }, el("b", {}, t(STATES[item.pubstatus] || STATES.hidden)), el("span", {}, t("put in"), " ", time(meta.added))),
    el("p", {}, el("code", {}, item.uri), ` · ${t("Version")} ${item.version}`),
    own && actions.takeOut && el("button", { type: "button", class: "plain", onclick: () => actions.takeOut(item.uri) }, t("Take it out")));
}

function controls(found, { again, go, failed }) {
  const changed = (change) => async () => { try { await change(); await again(); } catch (error) { failed(error); } };
  const share = el("button", { type: "button", class: "switch", role: "switch", "aria-checked": String(found.shared),
    onclick: changed(() => changeBasket(found.id, { shared: !found.shared })) }, el("span", { class: "switch-knob", "aria-hidden": "true" }), t("Shared"));
  const copy = el("button", { type: "button", class: "plain", onclick: () => passOn(new URL(address(found.id), document.baseURI).href) }, t("Copy the address"));
  const rename = el("button", { type: "button", class: "plain", onclick: () => {
    const form = nameForm(t("Another name"), (name) => changed(() => changeBasket(found.id, { name }))());
    form.querySelector("input").value = found.name;
    form.querySelector(".go").textContent = t("Rename");
    rename.replaceWith(form);
    form.querySelector("input").select();
  } }, t("Rename"));
  const remove = el("button", { type: "button", class: "plain", onclick: async () => {
    try { await removeBasket(found.id); go({ basket: "" }); toast(t("The basket “{name}” is deleted.", { name: found.name })); } catch (error) { failed(error); }
  } }, t("Delete the basket"));
  return el("p", { class: "basket-controls" }, share, found.shared && copy, rename, remove);
}

/** Reads a basket as an answer: hits with a rank, and the tombstones between them. */
export async function basketAnswer(id, signal) {
  const found = await basket(id, signal);
  const items = found.items.map((one, place) => ({ meta: { rank: place + 1, highlights: {}, ...one.meta }, item: one.item }));
  return { found, hits: items.filter(({ item }) => item.pubstatus === "usable"), items };
}

/** The nodes of a basket; `draw` makes those of a hit. */
export function basketNodes({ found, items }, draw, actions) {
  const nodes = items.map((result) => {
    if (result.item.pubstatus !== "usable") return tombstone(result, found.own, actions);
    const node = draw(result);
    if (found.own) node.querySelector(".keep")?.replaceWith(el("button", { type: "button", class: "keep", "aria-label": t("Take out: {name}", { name: unmarked(result.item.headline) || result.item.uri }), onclick: () => actions.takeOut(result.item.uri) }, t("Take out")));
    return node;
  });
  return nodes.length ? nodes : [el("p", { class: "nothing" }, t("Nothing in it that your key may see."))];
}

/** The line above a basket. */
export function basketHead({ found, hits, items }, actions) {
  const gone = items.length - hits.length;
  return [el("p", {}, el("b", {}, found.name), ` · ${plural(hits.length, "item", "items")}`, gone > 0 && ` · ${t("{count} taken away", { count: gone })}`,
    !found.own && ` · ${t("shared with you")}`), found.own && controls(found, actions)].filter(Boolean);
}

export { takeOut };
export const showBasketsButton = (visible) => show(byId("baskets-button"), visible);
