// Numbers, times and names in the reader's words.

import { locale, t } from "./texts.js";
import { el } from "./dom.js";

const whole = new Intl.NumberFormat(locale);
const when = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const month = new Intl.DateTimeFormat(locale, { month: "short", year: "numeric", timeZone: "UTC" });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });

export const number = (value) => whole.format(value);
export const decimal = (value, digits = 2) =>
  value === null || value === undefined ? "–" : Number(value).toFixed(digits);
export const signed = (value) => `${Math.abs(value) < 0.0005 ? "" : value < 0 ? "−" : "+"}${decimal(Math.abs(value), 3)}`;
export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
export const plural = (count, one, many) => `${number(count)} ${t(count === 1 ? one : many)}`;

/** A <time> in the reader's zone; the title has it in UTC. */
export function time(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return el("span", {}, String(text || ""));
  const utc = moment.toISOString().replace("T", " ").replace(/(:\d\d)?(\.\d+)?Z$/, " UTC");
  return el("time", { datetime: text, title: utc }, when.format(moment));
}

// Where the reader is: days are theirs, and numbers in dates are read as they write them. A service
// that doesn't know the zone or the locale is asked without it (client.js).
export const reader = { tz: Intl.DateTimeFormat().resolvedOptions().timeZone || "", locale: navigator.language || "" };

const inZone = (options) => new Intl.DateTimeFormat(locale, { timeZone: reader.tz || "UTC", ...options });

/** A span in UTC, [since, until) and "" for an open end, as days (or times) of the reader's zone. */
export function daysIn(since, until) {
  const [first, end] = [since, until].map((text) => text && new Date(text));
  const clock = inZone({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const whole = [first, end].every((moment) => !moment || clock.format(moment) === "00:00");
  const last = end && (whole ? new Date(end.getTime() - 1) : end);
  const days = inZone(whole ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
  if (first && last) return days.formatRange(first, last);
  if (first) return t("from {day}", { day: days.format(first) });
  return last ? t("until {day}", { day: days.format(last) }) : t("any time");
}

/** Text with days such as 2024-03-05 written in the reader's way. */
export const inWords = (text) => text.replace(/\d{4}-\d{2}-\d{2}/g, (found) => day.format(new Date(`${found}T00:00:00Z`)));

/** First and last day of a filter, either of them "" for an open end. */
export function dayRange(since, until) {
  const [first, last] = [inWords(since), inWords(until)];
  if (since && until) return since === until ? first : `${first} – ${last}`;
  return since ? t("from {day}", { day: first }) : t("until {day}", { day: last });
}

export const withArticle = (word) => `${/^[aeiou]/i.test(word) ? "an" : "a"} ${word}`;

/** A total, with what it means. */
export function total(value, relation) {
  const stories = ` ${t(value === 1 ? "story" : "stories")}`;
  if (value === 0) return ["", t("no"), ` ${t("story")}`];
  if (relation === "lower_bound") return [`${t("at least")} `, number(value), stories];
  if (relation === "window") return [`${t("the")} `, number(value), ` ${t(value === 1 ? "nearest story" : "nearest stories")}`];
  return [`${t("exactly")} `, number(value), stories];
}

/** A year, a month or a day of the date facet in words. */
export function period(value) {
  if (/^\d{4}-\d{2}$/.test(value)) return month.format(new Date(`${value}-01T00:00:00Z`));
  if (/^\d{4}-\d{2}-\d{2}/.test(value)) return day.format(new Date(`${value.slice(0, 10)}T00:00:00Z`));
  return value;
}

/** The first and last day of a year, a month or a day. */
export function daysOf(value) {
  if (/^\d{4}$/.test(value)) return [`${value}-01-01`, `${value}-12-31`];
  if (/^\d{4}-\d{2}$/.test(value)) {
    const [year, number_] = value.split("-").map(Number);
    const last = new Date(Date.UTC(year, number_, 0)).getUTCDate();
    return [`${value}-01`, `${value}-${String(last).padStart(2, "0")}`];
  }
  return [value.slice(0, 10), value.slice(0, 10)];
}

const TYPES = { text: "Story", picture: "Picture", video: "Video", audio: "Audio", graphic: "Graphic" };
export const typeName = (type) => t(TYPES[type] || type || "Item");

/** The title of an item without any words; its uri tells a reader nothing. */
export const undescribed = (item) => t("{kind} without a description", { kind: typeName(item.type) });

const RIGHTS = { commercial: "Commercial use", editorial: "Editorial use", restricted: "Restricted", owned: "Wholly owned" };
export const rightsName = (word) => t(RIGHTS[word] || word);

const FACETS = {
  type: "Kind", subject: "Subject", place: "Place", person: "People",
  organisation: "Organisations", language: "Language", rights: "Rights", versioncreated: "Date",
  source: "Source", credit: "Credit", orientation: "Orientation", size: "Size",
};
const VALUES = {
  type: typeName, rights: rightsName, versioncreated: period,
  orientation: (word) => t({ landscape: "Landscape", portrait: "Portrait", square: "Square" }[word] || word),
  size: (word) => t({ small: "Small, under 1,000 px", medium: "Medium", large: "Large, 3,000 px and more" }[word] || word),
};
export const facetName = (name) => t(FACETS[name] || name);
export const facetValue = (name, value) => (VALUES[name] || String)(value);

/** A stage's or reason's internal name in words. */
export const words = (name) => String(name).replaceAll("_", " ");
