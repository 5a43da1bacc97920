// Coverage like this: a story that is pasted into the search field is no query.

import { byId, el } from "./dom.js";

const SHORTEST = 300; // characters; a shorter text of one line may be a query

const isStory = (text) => text.length >= SHORTEST || text.trim().split(/\n/).length > 2;

/** Takes a pasted story before the field cuts it off. */
export function listenToPastes(search) {
  byId("q").addEventListener("paste", (event) => {
    const text = (event.clipboardData?.getData("text/plain") || "").trim();
    if (byId("q").value.trim() || !isStory(text)) return;
    event.preventDefault();
    search(text);
  });
}

/** A chip that shows how the pasted text begins, and ends the search for it. */
export function pastedChip(state, go) {
  if (!state.text) return [];
  const begins = `${state.text.trim().split(/\s+/).slice(0, 8).join(" ")} …`;
  return [el("button", {
    type: "button", class: "chip", "aria-label": `No longer only coverage like: ${begins}`,
    onclick: () => go({ ...state, text: "" }),
  }, el("span", { class: "chip-name" }, "Coverage like"), begins, el("span", { class: "chip-x", "aria-hidden": "true" }, "×"))];
}
