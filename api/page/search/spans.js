// Times that are asked for often, as a list; any others by two dates.

import { byId, show } from "../shared/dom.js";

const DAYS = { today: 0, week: 6, month: 29, year: 364 };
const two = (number) => String(number).padStart(2, "0");

/** The reader's day so many days ago, as a field of a date has it. */
function daysAgo(days) {
  const day = new Date();
  day.setDate(day.getDate() - days);
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** Shows which of the times the state has: "dates" for any other. */
export function showSpan({ since, until }) {
  const named = Object.keys(DAYS).find((name) => !until && since === daysAgo(DAYS[name]));
  byId("span").value = named || (since || until ? "dates" : "");
  show(byId("dates"), byId("span").value === "dates");
}

/** Asks for the chosen time. */
export function listenToSpan(ask) {
  byId("span").addEventListener("change", () => {
    const { value } = byId("span");
    show(byId("dates"), value === "dates");
    if (value === "dates") byId("since").focus();
    else ask({ since: value ? daysAgo(DAYS[value]) : "", until: "" });
  });
}
