// The engineer's view: stages, ranks, bars and why. One switch, off for a reader, kept on this machine.

import { byId } from "../shared/dom.js";

const KEPT = "dateline-engineer";
let on = false;

/** Whether the engineer's view is shown; then answers are asked with their explanation. */
export const isEngineer = () => on;

function set(next) {
  on = next;
  byId("engineer").setAttribute("aria-checked", String(on));
  document.body.classList.toggle("engineer", on);
}

/** Shows the view that was kept, and changes it by the switch; `changed` asks the question again. */
export function listenToEngineer(changed) {
  set(localStorage.getItem(KEPT) === "1");
  byId("engineer").addEventListener("click", () => {
    set(!on);
    if (on) localStorage.setItem(KEPT, "1");
    else localStorage.removeItem(KEPT);
    changed(on);
  });
}

/** A comparison is a view of engineers: an address that asks for one shows it, and nothing is kept. */
export function showAsEngineer() {
  if (!on) set(true);
}
