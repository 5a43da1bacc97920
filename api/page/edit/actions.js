// What the desk does to an item: each is done at once, and its undo is another change that is audited.

import { t } from "../shared/texts.js";

/** The changes of state, by name: what is sent, and the words for it. */
export const CHANGES = {
  kill: { change: { pubstatus: "canceled" }, verb: "Kill", done: "Killed", undo: "Undo the kill" },
  withhold: { change: { pubstatus: "withheld" }, verb: "Withhold", done: "Withheld", undo: "Undo the withhold" },
  embargo: { change: {}, verb: "Embargo", done: "Under embargo", undo: "Lift the embargo" },
};

const OF_STATE = { canceled: "kill", withheld: "withhold", embargoed: "embargo" };

/** The action that hides an item now, by the state that the service tells; "" if none does. */
export const hidingOf = (state) => OF_STATE[state] || "";

/** Whether the item was withheld before it was killed, by the entries about it, the newest first. An
 * entry that only adds a reason has the same action again. */
const wasWithheld = (log) => log.map(({ action }) => action).find((action) => action === "withhold" || action === "release") === "withhold";

/** The change that undoes what hides an item. */
export function undoOf(hiding, log = []) {
  if (hiding === "embargo") return { embargoed: null };
  return { pubstatus: hiding === "kill" && wasWithheld(log) ? "withheld" : "usable" };
}

/** What an undo makes of an item, in words. */
export const undoLabel = (hiding, log) =>
  undoOf(hiding, log).pubstatus === "withheld" ? t("{undo}: withheld again", { undo: t(CHANGES[hiding].undo) }) : t(CHANGES[hiding].undo);

const ACTIONS = { kill: "Killed", withhold: "Withheld", embargo: "Embargoed", release: "Released", correct: "Corrected" };
/** An entry's action in words. */
export const actionName = (action) => (ACTIONS[action] ? t(ACTIONS[action]) : action);
