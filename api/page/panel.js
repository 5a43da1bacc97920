// One whole story: its text, what is known of it, its versions, and why it is where it is.

import { byId, el, marked, unmarked } from "./dom.js";
import { plural, rightsName, time, typeName, undescribed } from "./format.js";
import { badge, placeAndTime } from "./hits.js";
import { foundSections, isFound } from "./found.js";
import { figure, machineCredit, moment, shotList } from "./media.js";
import { isScored, whyPicture } from "./why.js";

const names = (concepts) => (concepts || []).map((concept) => concept.name).filter(Boolean).join(", ");

function bodyText(item) {
  const text = item.body_text || "";
  return text.split(/\n\s*\n|\r?\n/).filter((line) => line.trim())
    .map((line) => el("p", { dir: "auto" }, line.trim()));
}

function facts(item, meta) {
  const rows = [
    ["People", names(item.person)],
    ["Organisations", names(item.organisation)],
    ["Places", names(item.place)],
    ["Subjects", names(item.subject)],
    ["Editor's note", item.ednote],
    ["Slug", item.slugline],
    ["Urgency", item.urgency],
    ["Version", item.version],
    ["First created", item.firstcreated && time(item.firstcreated)],
    ["This version", time(item.versioncreated)],
    ["Status", item.pubstatus],
    ["Language", item.language],
    ["Products", (meta.products || []).map((product) => product.name).join(", ")],
    ["Rights", (item.rights || []).map(rightsName).join(", ")],
    ["Usage", (item.usageterms || []).join(" ")],
    ["Copyright", item.copyrightnotice],
    ["URI", el("code", {}, item.uri)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value)))));
}

function versionNode(result, current, onOpen) {
  const { item } = result;
  const same = item.uri === current.uri && item.version === current.version;
  const label = item.uri === current.uri ? `version ${item.version}` : "write-through";
  const details = el("details", { class: "version" },
    el("summary", {},
      el("span", { class: "version-when" }, time(item.versioncreated)),
      el("span", { class: "version-name" }, item.headline || typeName(item.type)),
      el("span", { class: "version-number" }, `${label}${same ? ", shown above" : ""}`)),
    item.ednote && el("p", { class: "remark" }, item.ednote),
    bodyText(item).slice(0, 4),
    item.uri !== current.uri && el("button", { type: "button", class: "plain", onclick: () => onOpen(item.uri) }, "Open this one"));
  return el("li", { class: same ? "current" : "" }, details);
}

function chain(versions, current, onOpen) {
  if (!versions || versions.length < 2) return null;
  return el("section", { class: "chain", id: "chain", tabindex: "-1", "aria-labelledby": "chain-title" },
    el("h3", { id: "chain-title" }, `The story in ${plural(versions.length, "version", "versions")}`),
    el("ol", {}, versions.map((version) => versionNode(version, current, onOpen))));
}

/** Fills the panel with a story; `meta` is what the search said of it, if it was a hit. */
export function showStory(data, meta, { close, open, kill, shown, missing }) {
  const { item } = data;
  const media = figure(item, moment(meta));
  const caption = item.description_caption || item.description_summary;
  const read = meta && unmarked(meta.passage) && !isFound(meta) && !(item.body_text || caption);
  byId("panel").replaceChildren(
    el("header", { class: "panel-head" },
      el("p", { class: "kicker" }, badge(item), placeAndTime(item)),
      el("button", { type: "button", class: "close", "aria-label": "Close the story", onclick: close }, "×")),
    el("div", { class: "panel-body" },
      el("h2", { id: "panel-title", dir: "auto" }, item.headline || caption || (item.machine_caption || {}).text || undescribed(item)),
      (item.bylines || []).length > 0 && el("p", { class: "byline" }, `By ${item.bylines.map((by) => by.by).join(", ").replace(/^by\s+/i, "")}`),
      media,
      caption && el("p", { class: "standfirst", dir: "auto" }, caption),
      machineCredit(item, Boolean(item.headline || caption)),
      el("div", { class: "story-text" }, bodyText(item), read && el("p", {}, marked(meta.passage))),
      foundSections(item),
      shotList(item),
      meta && isScored(meta.explanation) && whyPicture({ meta, item }, shown()),
      missing && el("p", { class: "panel-missing" }, el("button", { type: "button", class: "plain", onclick: () => missing(item.uri) }, "Why is it not among the stories shown?")),
      chain(data.versions, item, open),
      el("section", { "aria-labelledby": "facts-title" }, el("h3", { id: "facts-title" }, "About this item"), facts(item, data.meta)),
      kill && el("p", { class: "panel-actions" }, el("button", { type: "button", class: "kill", onclick: () => kill(item) }, "Kill this story"))));
}

export function showPanelProblem(error, close) {
  byId("panel").replaceChildren(
    el("header", { class: "panel-head" }, el("span", {}),
      el("button", { type: "button", class: "close", "aria-label": "Close", onclick: close }, "×")),
    el("div", { class: "panel-body" }, el("h2", { id: "panel-title" }, error.message), el("p", {}, error.mend)));
}
