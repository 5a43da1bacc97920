// Words alone and hybrid side by side: lines join the same stories, and marks show what only meaning found.

import { t } from "../shared/texts.js";
import { el, svg } from "../shared/dom.js";
import { milliseconds, number, total } from "../shared/format.js";
import { badge, headlineLink, placeAndTime, ranks } from "./hits.js";

/** A hybrid hit's rank in the search by words, and what it means, as text. */
function move(result, lexical) {
  const { meta, item } = result;
  const listed = lexical.items.find((other) => other.item.uri === item.uri);
  // The list ranks stories; further down only the rank among items is known.
  const byWords = listed ? listed.meta.rank : meta.explanation.lexical.rank;
  if (!byWords) return ["only", t("only by meaning")];
  const steps = byWords - meta.rank;
  if (steps > 0) return ["up", t("▲ {steps} from #{rank}", { steps: number(steps), rank: number(byWords) })];
  if (steps < 0) return ["down", t("▼ {steps} from #{rank}", { steps: number(-steps), rank: number(byWords) })];
  return ["same", t("same place")];
}

function card(result, side, address, actions, note) {
  const { meta, item } = result;
  return el("article", { class: `hit card card-${side} ${note ? `move-${note[0]}` : ""}`, "data-uri": item.uri },
    el("span", { class: "place-number", "aria-hidden": "true" }, number(meta.rank)),
    el("div", { class: "hit-body" },
      el("p", { class: "kicker" }, badge(item), placeAndTime(item)),
      el("h2", { dir: "auto" }, headlineLink(result, address, actions)),
      note && el("p", { class: `move move-${note[0]}` }, note[1]),
      side === "hybrid" && ranks(meta.explanation, meta.score)));
}

const spent = ({ timings_ms: timings }) => (timings.total === undefined ? "" : t(" in {time}", { time: milliseconds(timings.total) }));

function column(title, data, side, cards) {
  return el("section", { class: `side side-${side}`, "aria-label": title },
    el("h2", { class: "side-title" }, title, el("span", {}, `${total(data.total_items, data.total_relation).join("")}${spent(data)}`)),
    cards.length ? cards : el("p", { class: "side-empty" }, t("Nothing: no story has these words.")));
}

/** The result of the comparison in one sentence. */
function verdict(lexical, hybrid, moves) {
  if (!hybrid.items.length) return t("Neither words nor meaning lead to a story.");
  const only = moves.filter(([kind]) => kind === "only").length;
  const up = moves.filter(([kind]) => kind === "up").length;
  if (!lexical.items.length) {
    return only === 1 ? t("Words find nothing here; meaning leads to 1 story.") : t("Words find nothing here; meaning leads to {number} stories.", { number: number(only) });
  }
  if (!only && !up) return t("Words and meaning agree on this one.");
  const told = [];
  if (only) told.push(only === 1 ? t("1 story that no word of the query leads to") : t("{number} stories that no word of the query leads to", { number: number(only) }));
  if (up) told.push(up === 1 ? t("1 story moved up") : t("{number} stories moved up", { number: number(up) }));
  return t("Hybrid brings {what}.", { what: told.join(t(", and ")) });
}

function curve(from, to, box, kind) {
  const y = (node) => {
    const place = node.getBoundingClientRect();
    return place.top - box.top + Math.min(26, place.height / 2);
  };
  const [start, end] = [y(from), y(to)];
  const middle = box.width / 2;
  return svg("path", { class: `line move-${kind}`, "data-uri": from.dataset.uri,
    d: `M0 ${start} C${middle} ${start} ${middle} ${end} ${box.width} ${end}` });
}

/** Draws the lines again, after the layout has changed. */
function drawLines(view, canvas) {
  const box = canvas.getBoundingClientRect();
  canvas.replaceChildren();
  if (!box.width) return;
  const left = new Map([...view.querySelectorAll(".card-lexical")].map((node) => [node.dataset.uri, node]));
  for (const right of view.querySelectorAll(".card-hybrid")) {
    const from = left.get(right.dataset.uri);
    const kind = ["up", "down", "same"].find((name) => right.classList.contains(`move-${name}`)) || "same";
    if (from) canvas.append(curve(from, right, box, kind));
  }
}

function pairUp(view, canvas) {
  const light = (uri, on) => {
    for (const node of view.querySelectorAll(".card, .line")) {
      node.classList.toggle("lit", on && node.dataset.uri === uri);
    }
    canvas.classList.toggle("has-lit", on);
  };
  for (const node of view.querySelectorAll(".card")) {
    node.addEventListener("pointerenter", () => light(node.dataset.uri, true));
    node.addEventListener("pointerleave", () => light(node.dataset.uri, false));
    node.addEventListener("focusin", () => light(node.dataset.uri, true));
    node.addEventListener("focusout", () => light(node.dataset.uri, false));
  }
}

/** The whole comparison as a node. */
export function comparison(lexical, hybrid, profile, address, actions) {
  const moves = hybrid.items.map((result) => move(result, lexical));
  const found = new Set(hybrid.items.map((result) => result.item.uri));
  const left = lexical.items.map((result) => card(result, "lexical", address, actions,
    found.has(result.item.uri) ? null : ["lost", t("not among hybrid's first {number}", { number: number(hybrid.items.length) })]));
  const right = hybrid.items.map((result, place) => card(result, "hybrid", address, actions, moves[place]));
  const canvas = svg("svg", { class: "lines", "aria-hidden": "true" });
  const view = el("div", { class: "comparison" },
    el("p", { class: "verdict" }, verdict(lexical, hybrid, moves)),
    column(t("Words (BM25)"), lexical, "lexical", left),
    el("div", { class: "between" }, canvas),
    column(profile === "hybrid" ? t("Hybrid") : profile, hybrid, "hybrid", right));
  new ResizeObserver(() => drawLines(view, canvas)).observe(view);
  pairUp(view, canvas);
  return view;
}
