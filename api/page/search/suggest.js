// Suggestions under the search box, as an ARIA combobox with a list: arrows choose, Enter takes,
// Escape closes (WAI-ARIA Authoring Practices, combobox).

import { suggestions } from "../shared/client.js";
import { t } from "../shared/texts.js";
import { byId, el, show } from "../shared/dom.js";
import { plural } from "../shared/format.js";

const PAUSE_MS = 80; // between a key stroke and the request
const SHOWN = 8;
const OPERATORS = /["():]|\b(AND|OR|NOT)\b/; // a query in the query language is not completed

let timer = 0;
let asking = null; // the AbortController of the request in progress
let active = -1;

const box = () => byId("q");
const options = () => [...byId("suggestions").children];

function close() {
  clearTimeout(timer);
  asking?.abort();
  asking = null;
  active = -1;
  show(byId("suggestions"), false).replaceChildren();
  box().setAttribute("aria-expanded", "false");
  box().removeAttribute("aria-activedescendant");
}

/** Makes one option the active one; -1 is the box itself. */
function activate(number) {
  active = number;
  options().forEach((node, at) => node.setAttribute("aria-selected", String(at === number)));
  if (number < 0) {
    box().removeAttribute("aria-activedescendant");
    return;
  }
  const node = options()[number];
  box().setAttribute("aria-activedescendant", node.id);
  node.scrollIntoView({ block: "nearest" });
}

function open(items, take) {
  active = -1;
  byId("suggestions").replaceChildren(...items.map((item, number) => el("li", {
    id: `suggestion-${number}`, role: "option", "aria-selected": "false", class: "suggestion-option", "data-text": item.text,
    onpointerdown: (event) => { event.preventDefault(); close(); take(item.text); },
  }, el("span", { class: "suggestion-text" }, item.text), " ",
  el("span", { class: "suggestion-kind" }, item.count > 1 ? `${t(item.kind)}, ${plural(item.count, "story", "stories")}` : t(item.kind)))));
  show(byId("suggestions"), items.length > 0);
  box().setAttribute("aria-expanded", String(items.length > 0));
}

async function ask(take) {
  const text = box().value.trim();
  if (!text || OPERATORS.test(text)) { close(); return; }
  asking?.abort();
  const own = new AbortController();
  asking = own;
  try {
    const items = await suggestions(text, { limit: SHOWN, signal: own.signal });
    if (asking === own && document.activeElement === box()) open(items, take);
  } catch {
    if (asking === own) close(); // suggestions are an extra: the search itself says what is wrong
  }
}

function onKey(event, take) {
  const count = options().length;
  if (!count || byId("suggestions").hidden) return;
  if (event.key === "ArrowDown") activate(active + 1 < count ? active + 1 : -1);
  else if (event.key === "ArrowUp") activate(active < 0 ? count - 1 : active - 1);
  else if (event.key === "Escape") close();
  else if (event.key === "Enter" && active >= 0) {
    const text = options()[active].dataset.text;
    close();
    take(text);
  } else return;
  event.preventDefault();
  event.stopPropagation(); // otherwise these keys move between the stories
}

/** Offers suggestions while a reader types; `take` gets the text of the chosen one. */
export function listenToSuggestions(take) {
  box().addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(take), PAUSE_MS);
  });
  box().addEventListener("keydown", (event) => onKey(event, take));
  box().addEventListener("blur", close);
  box().form.addEventListener("submit", close);
}
