// More like this: a link on each hit, and the line above the answer that names its item.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";
import { emptyState, writeState } from "../shared/state.js";

/** The question for items like this one, whatever the current question is. */
const likeState = (uri) => ({ ...emptyState(), similar_to: uri });

/** A link, so that readers can open it in another tab. */
export function similarLink(item, go, shot = null) {
  const next = likeState(shot ? `${item.uri}#t=${shot.start_s}` : item.uri);
  return el("a", {
    class: "similar", href: writeState(next), "aria-label": t("More like this: {name}", { name: item.headline || item.uri }),
    onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      go(next);
    },
  }, t(shot ? "More like this shot" : "More like this"));
}

/** A chip that names the item of a "more like this" search, and ends the search. `title` is its headline, if known. */
export function similarChip(state, title, go) {
  if (!state.similar_to) return [];
  const name = title || state.similar_to;
  return [el("button", {
    type: "button", class: "chip", "aria-label": t("No longer only what is like: {name}", { name }),
    onclick: () => go({ ...state, similar_to: "" }),
  }, el("span", { class: "chip-name" }, t("Like")), " ", name, el("span", { class: "chip-x", "aria-hidden": "true" }, "×"))];
}
