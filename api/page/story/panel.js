// One whole story: its text, what is known of it, its versions, and why it is where it is.

import { t } from "../shared/texts.js";
import { byId, el, marked, unmarked } from "../shared/dom.js";
import { versionsCompared } from "./versions.js";
import { rightsName, time, typeName, undescribed } from "../shared/format.js";
import { badge, liveMark, placeAndTime } from "../search/hits.js";
import { foundSections, isFound } from "../search/found.js";
import { figure, machineCredit, moment, shotList } from "../lightbox/media.js";
import { isScored, whyPicture } from "../search/why.js";
import { storyActions, storySteps } from "./actions.js";

const names = (concepts) => (concepts || []).map((concept) => concept.name).filter(Boolean).join(", ");

function bodyText(item) {
  const text = item.body_text || "";
  return text.split(/\n\s*\n|\r?\n/).filter((line) => line.trim())
    .map((line) => el("p", { dir: "auto" }, line.trim()));
}

function facts(item, meta) {
  const rows = [
    [t("People"), names(item.person)],
    [t("Organisations"), names(item.organisation)],
    [t("Places"), names(item.place)],
    [t("Subjects"), names(item.subject)],
    [t("Editor's note"), item.ednote],
    [t("Slug"), item.slugline],
    [t("Urgency"), item.urgency],
    [t("Version"), item.version],
    [t("First created"), item.firstcreated && time(item.firstcreated)],
    [t("This version"), time(item.versioncreated)],
    [t("Status"), item.pubstatus],
    [t("Language"), item.language],
    [t("Products"), (meta.products || []).map((product) => product.name).join(", ")],
    [t("Rights"), (item.rights || []).map(rightsName).join(", ")],
    [t("Usage"), (item.usageterms || []).join(" ")],
    [t("Copyright"), item.copyrightnotice],
    [t("URI"), el("code", {}, item.uri)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value)))));
}

function versionNode(result, current, onOpen) {
  const { item } = result;
  const same = item.uri === current.uri && item.version === current.version;
  const label = item.uri === current.uri ? t("version {number}", { number: item.version }) : t("write-through");
  const details = el("details", { class: "version" },
    el("summary", {},
      el("span", { class: "version-when" }, time(item.versioncreated)),
      el("span", { class: "version-name" }, item.headline || typeName(item.type)),
      el("span", { class: "version-number" }, same ? t("{label}, shown above", { label }) : label)),
    item.ednote && el("p", { class: "remark" }, item.ednote),
    bodyText(item).slice(0, 4),
    item.uri !== current.uri && el("button", { type: "button", class: "plain", onclick: () => onOpen(item.uri) }, t("Open this one")));
  return el("li", { class: same ? "current" : "" }, details);
}

function chain(versions, current, onOpen, part) {
  if (!versions || versions.length < 2) return null;
  const compared = el("div", { hidden: true });
  const toggle = el("button", { type: "button", class: "compare-versions", "aria-expanded": "false", onclick: () => compare(!compared.firstChild || compared.hidden) }, t("Compare them side by side"));
  const compare = (next) => {
    if (!compared.firstChild) compared.append(versionsCompared(versions, current));
    compared.hidden = !next;
    toggle.setAttribute("aria-expanded", String(next));
    byId("panel").classList.toggle("wide", next);
  };
  if (part === "compared") compare(true);
  return el("section", { class: "chain", id: "chain", tabindex: "-1", "aria-labelledby": "chain-title" },
    el("h3", { id: "chain-title" }, t("The story in {number} versions", { number: versions.length })),
    toggle, compared,
    el("ol", {}, versions.map((version) => versionNode(version, current, onOpen))));
}

/** Fills the panel with a story; `meta` is what the search said of it, if it was a hit. */
export function showStory(data, meta, { close, open, desk, shown, missing, part, related, place, does }) {
  const { item } = data;
  const media = figure(item, moment(meta));
  const caption = item.description_caption || item.description_summary;
  const read = meta && unmarked(meta.passage) && !isFound(meta) && !(item.body_text || caption);
  byId("panel").classList.remove("wide");
  byId("panel").replaceChildren(
    el("header", { class: "panel-head" },
      el("p", { class: "kicker" }, badge(item), liveMark(item.live), placeAndTime(item)), storySteps(place),
      el("button", { type: "button", class: "close", "aria-label": t("Close the story"), onclick: close }, "×")),
    el("div", { class: "panel-body" },
      el("h2", { id: "panel-title", dir: "auto", tabindex: "-1" }, item.headline || caption || (item.machine_caption || {}).text || undescribed(item)),
      (item.bylines || []).length > 0 && el("p", { class: "byline" }, t("By {names}", { names: item.bylines.map((by) => by.by).join(", ").replace(/^by\s+/i, "") })),
      storyActions(item, data.meta, does),
      desk && desk(item),
      media,
      caption && el("p", { class: "standfirst", dir: "auto" }, caption),
      machineCredit(item, Boolean(item.headline || caption)),
      el("div", { class: "story-text" }, bodyText(item), read && el("p", {}, marked(meta.passage))),
      foundSections(item),
      shotList(item),
      related && related(item),
      meta && isScored(meta.explanation) && whyPicture({ meta, item }, shown()),
      missing && el("p", { class: "panel-missing" }, el("button", { type: "button", class: "plain", onclick: () => missing(item.uri) }, t("Why is it not among the stories shown?"))),
      chain(data.versions, item, open, part),
      el("section", { "aria-labelledby": "facts-title" }, el("h3", { id: "facts-title" }, t("About this item")), facts(item, data.meta))));
}

export function showPanelProblem(error, close) {
  byId("panel").replaceChildren(
    el("header", { class: "panel-head" }, el("span", {}),
      el("button", { type: "button", class: "close", "aria-label": t("Close"), onclick: close }, "×")),
    el("div", { class: "panel-body" }, el("h2", { id: "panel-title", tabindex: "-1" }, error.message), el("p", {}, error.mend)));
}
