// What a reader does with an open story: look, keep, download, pass on, and go to the next one, by
// buttons and by the keys that the list and the lightbox have.

import { characterKeys } from "../shared/keys.js";
import { el } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { isMedia } from "../lightbox/lightbox.js";
import { askLicence } from "../lightbox/licence.js";
import { similarLink } from "../search/similar.js";
import { passOn } from "../shared/toast.js";
import { t } from "../shared/texts.js";

let acts = {}; // by key, for the story that is open

/** The line of actions. `does` has `keep`, `go` and, for a hit that the lightbox can show, `look`. */
export function storyActions(item, meta, { keep, look, go, step }) {
  const next = (by) => () => step?.(by);
  acts = { b: keep, d: () => askLicence(item, meta), v: isMedia(item) ? look : null, j: next(1), k: next(-1), ArrowRight: next(1), ArrowLeft: next(-1) };
  const button = (key, text, press) => el("button", { type: "button", onclick: press, "aria-keyshortcuts": key }, text, el("kbd", { class: "wide-only", "aria-hidden": "true" }, key));
  return el("p", { class: "story-actions" },
    acts.v && button("v", t("Look"), look), button("b", t("Basket"), keep), button("d", t("Download"), acts.d),
    similarLink(item, go), el("button", { type: "button", class: "plain", onclick: () => passOn(location.href) }, t("Copy the address")));
}

/** The place of a hit in its answer, with a way to the one before and after; null for another story. */
export function storySteps(place) {
  if (!place) return null;
  const { at, count, more, step } = place;
  const button = (text, label, by, off) => el("button", { type: "button", class: "step", "aria-label": label, disabled: off, onclick: () => step(by) }, text);
  return el("p", { class: "story-steps" },
    button("‹", t("Previous story"), -1, at === 0),
    el("span", {}, t("{number} of {count}", { number: number(at + 1), count: `${number(count)}${more ? "+" : ""}` })),
    button("›", t("Next story"), 1, !more && at === count - 1));
}

/** Answers the keys while a story is open; those of a control in it stay the control's own. */
export function listenToStory(panel) {
  panel.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.target.matches("input, select, textarea, video, audio, [role='group'][tabindex]")) return;
    if (!panel.querySelector(".story-actions") || (event.key.length === 1 && !characterKeys()) || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
}
