// Beside an action of the desk: who is told of it, what it hides, and what was done before.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";
import { time } from "../shared/format.js";
import { actionName } from "./actions.js";

const CHANNELS = {
  search: "search", feed: "feed", item: "opened", download: "download", rss: "RSS", webhook: "webhook", ondemand: "on demand", stream: "stream", topics: "followed topic",
};
const SHOWN = 6; // entries before "all"

const several = (number, one, many) => t(number === 1 ? one : many, { number });
const heading = (text) => el("h4", {}, text);

/** A list of which the rest unfolds. */
function list(nodes, kind, most = SHOWN) {
  const rest = nodes.slice(most);
  const ul = el("ul", { class: kind }, nodes.slice(0, most));
  if (!rest.length) return ul;
  const more = el("button", { type: "button", class: "plain", onclick: () => { ul.append(...rest); more.remove(); rest[0].tabIndex = -1; rest[0].focus(); } }, t("and {number} more", { number: rest.length }));
  return [ul, more];
}

/** How an account hears of a kill. */
function ways({ sessions, webhooks }) {
  const told = [sessions && t("by its feed"), webhooks && several(webhooks, "by a webhook", "by {number} webhooks")].filter(Boolean);
  return told.length ? el("span", { class: "told-yes" }, told.join(", ")) : el("span", { class: "told-no" }, t("only when it asks: tell it yourself"));
}

function recipient(one) {
  return el("li", {}, el("b", {}, one.title), " ", ways(one), el("span", { class: "told-how" },
    t("has version {version}: {channels}", { version: one.version, channels: one.channels.map((name) => t(CHANNELS[name] || name)).join(", ") })));
}

/** Who received the item. */
export function whoIsTold({ recipients }, isHidden) {
  const alone = recipients.filter((one) => !one.sessions && !one.webhooks).length;
  const count = several(recipients.length, "1 account received it", "{number} accounts received it");
  return el("section", { class: "told" }, heading(isHidden ? t("Who was told") : t("Who will be told")),
    recipients.length
      ? [el("p", { class: "told-sum" }, alone ? `${count}; ${several(alone, "1 has no feed and no webhook", "{number} have no feed and no webhook")}.` : `${count}.`), list(recipients.map(recipient), "told-list")]
      : el("p", { class: "told-sum" }, t("No account has received it.")));
}

/** What is hidden of the item, and what the story shows without it. */
export function whatIsHidden(look, isHidden, titleOf) {
  const { versions, forms } = look.hidden;
  const next = look.otherwise && titleOf(look.otherwise);
  return el("section", { class: "hides" }, heading(isHidden ? t("What is hidden") : t("What a kill hides")),
    el("p", {}, several(versions.length, "1 version of this item, in every search, feed, link and file", "{number} versions of this item, in every search, feed, link and file"), ": ", el("span", { class: "forms" }, forms.join(", ")), "."),
    el("ol", { class: "hidden-versions" }, versions.slice(0, SHOWN).map((one) => el("li", {}, t("version {number}", { number: one.version }), " ", time(one.versioncreated)))),
    el("p", {}, next ? [isHidden ? t("The story shows now:") : t("The story then shows:"), " ", el("b", {}, next)] : isHidden ? t("The story shows nothing now.") : t("The story then shows nothing.")));
}

/** What was done to the item, or to all items, the newest first. */
export function whatWasDone(entries, itemNode = null) {
  if (!entries.length) return el("p", { class: "told-sum" }, t("Nothing was done to it yet."));
  return list(entries.map((entry) => el("li", {}, time(entry.at), " ", el("b", {}, actionName(entry.action)), " ",
    itemNode ? itemNode(entry) : el("span", { class: "told-how" }, t("version {number}", { number: entry.version })), " ", el("span", { class: "told-how" }, t("by {name}", { name: entry.key })),
    entry.reason ? el("q", {}, entry.reason) : el("i", {}, t("without a reason")))), "done-list", itemNode ? 5 * SHOWN : SHOWN);
}
