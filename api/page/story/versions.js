// Two versions of a story side by side: which words changed, and which facts.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";
import { time } from "../shared/format.js";
import { changes } from "./diff.js";

const TEXTS = [["headline", "Headline"], ["caption", "Caption"], ["body_text", "Text"], ["ednote", "Editor's note"]];
// What every version has of its own, what the texts above show, and what the service makes.
const NO_FACTS = new Set(["uri", "version", "versioncreated", "headline", "body_text", "description_caption", "description_summary", "ednote", "renditions", "machine_caption", "shots"]);
const NAMES = {
  pubstatus: "Status", urgency: "Urgency", language: "Language", slugline: "Slug", located: "Place line", person: "People", organisation: "Organisations",
  place: "Places", subject: "Subjects", bylines: "By", rights: "Rights", usageterms: "Usage", copyrightnotice: "Copyright", embargoed: "Embargo", expires: "Expires", type: "Kind",
};

const textOf = (item, name) => (name === "caption" ? item.description_caption || item.description_summary : item[name]) || "";
const named = (item, current) => `${item.uri === current.uri ? t("version {number}", { number: item.version }) : t("write-through, version {number}", { number: item.version })}`;

/** A value of any shape as a line of text. */
function inWords(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (typeof value === "object") return value.name || value.by || Object.values(value).map(inWords).join(" ");
  return String(value);
}

/** One side: what stayed, and what was taken out (`out`) or put in (`in`), in paragraphs. */
function side(runs, mine, name) {
  const paragraphs = [el(name === "headline" ? "h4" : "p", { dir: "auto" })];
  const tag = mine === "in" ? "ins" : "del";
  for (const [kind, words] of runs.filter(([kind]) => kind === "same" || kind === mine)) {
    for (const [at, line] of words.join(" ").split(/ ?\n ?/).entries()) {
      if (at) paragraphs.push(el("p", { dir: "auto" }));
      if (line) paragraphs.at(-1).append(kind === "same" ? line : el(tag, {}, line), " ");
    }
  }
  return paragraphs.filter((node) => node.hasChildNodes());
}

function textRow([name, title], before, after) {
  const runs = changes(textOf(before, name), textOf(after, name));
  if (!runs.length) return null;
  const same = runs.every(([kind]) => kind === "same");
  if (same && name !== "headline") return el("p", { class: "unchanged" }, t("{name}: unchanged", { name: t(title) }));
  return el("div", { class: `pair pair-${name}` },
    el("div", { class: "pair-side", "data-side": t("Before") }, side(runs, "out", name)),
    el("div", { class: "pair-side", "data-side": t("After") }, side(runs, "in", name)));
}

function factRows(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !NO_FACTS.has(name));
  const rows = names.map((name) => [name, inWords(before[name]), inWords(after[name])]).filter(([, old, fresh]) => old !== fresh);
  if (!rows.length) return el("p", { class: "unchanged" }, t("No fact beside the texts changed."));
  return el("table", { class: "facts-changed" },
    el("thead", {}, el("tr", {}, ["Fact", "Before", "After"].map((title) => el("th", { scope: "col" }, t(title))))),
    el("tbody", {}, rows.map(([name, old, fresh]) => el("tr", {}, el("th", { scope: "row" }, NAMES[name] ? t(NAMES[name]) : name),
      el("td", {}, el("del", {}, old)), el("td", {}, el("ins", {}, fresh))))));
}

function picker(label, versions, current, chosen, onChange) {
  const select = el("select", { onchange: () => onChange(Number(select.value)) },
    versions.map(({ item }, at) => el("option", { value: at, selected: at === chosen }, named(item, current))));
  return el("label", { class: "control" }, t(label), " ", select);
}

/** The comparison of a story's versions, the newest first; it begins with the newest two. */
export function versionsCompared(versions, current) {
  const box = el("div", { class: "compared" });
  const draw = (from, to) => {
    const [before, after] = [versions[from].item, versions[to].item];
    box.replaceChildren(
      el("div", { class: "compared-choice" },
        picker("Before", versions, current, from, (at) => draw(at, to)), picker("After", versions, current, to, (at) => draw(from, at)),
        el("span", { class: "compared-times" }, time(before.versioncreated), " → ", time(after.versioncreated))),
      ...TEXTS.map((row) => textRow(row, before, after)).filter(Boolean),
      factRows(before, after));
  };
  draw(1, 0);
  return box;
}
