// More like this: a link on each hit, and the line above the answer that says what it is like.

import { el } from "./dom.js";
import { emptyState, writeState } from "./state.js";

/** The question for what is like an item, whatever is asked for now. */
const likeState = (uri) => ({ ...emptyState(), similar_to: uri });

/** A link, so that it can be opened beside the answer. */
export function similarLink(item, go, shot = null) {
  const next = likeState(shot ? `${item.uri}#t=${shot.start_s}` : item.uri);
  return el("a", {
    class: "similar", href: writeState(next), "aria-label": `More like this: ${item.headline || item.uri}`,
    onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      go(next);
    },
  }, shot ? "More like this shot" : "More like this");
}

/** A chip that says which item the answer is like, and ends that. `title` is its headline, if known. */
export function similarChip(state, title, go) {
  if (!state.similar_to) return [];
  const name = title || state.similar_to;
  return [el("button", {
    type: "button", class: "chip", "aria-label": `No longer only what is like: ${name}`,
    onclick: () => go({ ...state, similar_to: "" }),
  }, el("span", { class: "chip-name" }, "Like"), name, el("span", { class: "chip-x", "aria-hidden": "true" }, "×"))];
}
