// Pictures and films that go with a story: those inside it, then the nearest by meaning.

import { search } from "../shared/client.js";
import { el, unmarked } from "../shared/dom.js";
import { isPlayable, ours, still } from "../lightbox/media.js";
import { placeholder } from "../lightbox/pictures.js";
import { undescribed } from "../shared/format.js";
import { emptyState } from "../shared/state.js";
import { t } from "../shared/texts.js";

const SHOWN = 8;
const TYPES = ["picture", "video", "graphic"];

function small({ meta, item }, press) {
  const href = (meta.shot && meta.shot.thumbnail) || ours(item, "thumbnail");
  const title = unmarked(item.headline) || undescribed(item);
  return el("li", {}, el("button", { type: "button", onclick: press, "aria-label": t("Look at {name}", { name: title }) },
    href ? still(href, "", item) : placeholder(item), isPlayable(item) && el("span", { class: "play-mark", "aria-hidden": "true" }, "▶"),
    el("span", { class: "related-title", dir: "auto" }, title)));
}

/** A section that fills itself; it goes away where there is nothing to show. */
export function relatedPictures(item, look) {
  const list = el("ul", { class: "related-pictures" });
  const section = el("section", { "aria-labelledby": "related-title", hidden: true }, el("h3", { id: "related-title" }, t("Related pictures")), list);
  const state = { ...emptyState(), similar_to: item.uri };
  state.filters.type = TYPES;
  search(state, { size: SHOWN, facets: false, aside: true }).then((data) => {
    const found = data.items.filter((one) => one.meta.relevance !== "related");
    list.replaceChildren(...found.map((one) => small(one, () => look(found, one.item.uri))));
    section.hidden = found.length === 0;
  }).catch(() => section.remove()); // an extra: the story itself is shown
  return section;
}
