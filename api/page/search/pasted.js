// Coverage like this: a story that is pasted into the search field is no query.

import { t } from "../shared/texts.js";
import { byId, el } from "../shared/dom.js";

const SHORTEST = 300; // characters; a shorter text of one line may be a query
const LONGEST = 1 << 20; // bytes that the service takes

const isStory = (text) => text.length >= SHORTEST || text.trim().split(/\n/).length > 2;

/** The beginning of a text, as much of it as the service takes. */
export function begun(text) {
  const bytes = new TextEncoder().encode(text);
  return bytes.length > LONGEST ? new TextDecoder().decode(bytes.subarray(0, LONGEST), { stream: true }) : text;
}

const isCut = (text) => new TextEncoder().encode(text).length > LONGEST - 4; // a character has at most 4

/** What is left in the field beside the pasted text: it takes the place of what is selected. */
const rest = (field) => (field.value.slice(0, field.selectionStart) + field.value.slice(field.selectionEnd)).trim();

/** Takes a pasted story before the field cuts it off. A long one takes the place of any query. */
export function listenToPastes(search) {
  byId("q").addEventListener("paste", (event) => {
    const text = (event.clipboardData?.getData("text/plain") || "").trim();
    if (!isStory(text) || (text.length < SHORTEST && rest(byId("q")))) return;
    event.preventDefault();
    search(begun(text));
  });
}

/** A chip that shows what the coverage is like, a text or a picture, and ends the search for it. */
export function pastedChip(state, go) {
  if (!state.text && !state.picture) return [];
  const begins = state.picture ? state.picture.name || t("a picture") : `${state.text.trim().split(/\s+/).slice(0, 8).join(" ")} …`;
  return [el("button", {
    type: "button", class: "chip", "aria-label": t("No longer only coverage like: {text}", { text: begins }),
    onclick: () => go({ ...state, text: "", picture: null }),
  }, el("span", { class: "chip-name" }, state.picture ? t("Looks like") : isCut(state.text) ? t("Coverage like the first megabyte of") : t("Coverage like")), " ", begins, el("span", { class: "chip-x", "aria-hidden": "true" }, "×"))];
}
