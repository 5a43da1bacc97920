// Why a hit is where it is: what each stage gave it, as one bar that adds up to its score.

import { t } from "../shared/texts.js";
import { el, stackedBar } from "../shared/dom.js";
import { decimal, number, signed } from "../shared/format.js";

const VECTOR_KINDS = ["vec", "vec-2", "vec-3"]; // one tint per vector field
let made = 0; // numbers the headings, so that the page can have two pictures

/** A stage's raw score (only keys that may inspect get it), before its share. */
const raw = (value, name, without, digits = 2) => (value === undefined ? "" : value === null ? `${without} → ` : `${name} ${decimal(value, digits)} → `);

/** What each retriever and the names add to the fused score, in the order of the bar. */
export function fusedParts(told) {
  const { lexical, vectors, names } = told;
  const parts = [{ kind: "lex", name: "Words", rank: lexical.rank, share: lexical.normalized, weight: lexical.weight,
    raw: raw(lexical.bm25, "BM25", t("no word matches")) }];
  vectors.forEach((one, at) => parts.push({ kind: VECTOR_KINDS[Math.min(at, 2)], name: vectors.length > 1 ? t("Meaning, model {number}", { number: at + 1 }) : "Meaning",
    rank: one.rank, share: one.normalized, weight: one.weight, raw: raw(one.cosine, t("cosine"), t("no vector")) }));
  if (names.weight > 0) parts.push({ kind: "nam", name: "Names", rank: null, share: names.share, weight: names.weight, raw: t("{share}% of them → ", { share: Math.round(names.share * 100) }) });
  return parts.filter((part) => part.weight > 0).map((part) => ({ ...part, gives: part.share * part.weight }));
}

const isMixed = ({ reranked }) => Boolean(reranked && reranked.weight !== undefined);

/** The final score as parts that add up to it. What age took is not among them; beside the
 * reranker's part is what the mix left of the fused score. */
export function scoreParts(told) {
  const { fused, reranked } = told;
  const left = isMixed(told) ? (1 - reranked.weight) * reranked.fused_normalized : fused.score * told.recency;
  const parts = fusedParts(told).map(({ kind, name, gives }) => ({ kind, name, gives: fused.score > 0 ? (gives / fused.score) * left : 0 }));
  if (!isMixed(told)) return parts;
  if (reranked.floor > 0) parts.push({ kind: "floor", name: "Read in time", gives: reranked.floor });
  return [...parts, { kind: "rer", name: "Reranker", gives: reranked.weight * reranked.normalized }];
}

/** The score as one bar; what age took away is hatched. */
export function scoreBar(told, score) {
  const most = Math.max(1, score);
  const drawn = scoreParts(told).map(({ kind, gives }) => [kind, gives / most]);
  if (!isMixed(told) && told.recency < 1) drawn.push(["lost", (told.fused.score * (1 - told.recency)) / most]);
  return stackedBar(drawn);
}

const swatch = (kind) => el("i", { class: `swatch ${kind}`, "aria-hidden": "true" });

function row(kind, name, { rank = null, how = "", gives, drawn = null, type = "" }) {
  return el("li", { class: `why-row ${type}` },
    el("span", { class: "why-name" }, kind && swatch(kind), t(name)), " ",
    el("span", { class: "why-rank" }, rank === null ? "" : rank ? `#${number(rank)}` : [el("span", { class: "unseen" }, t("not found")), el("span", { "aria-hidden": "true" }, "–")]), " ",
    el("span", { class: "why-how" }, how), " ", drawn || el("span", {}), " ",
    el("b", { class: "why-gives" }, gives));
}

const times = (share, weight) => `${decimal(share, 3)} × ${decimal(weight, 3)}`;

/** After the fusion: what age left, and what the reranker made of it. */
function laterRows(told, score) {
  const { fused, recency, reranked } = told;
  const rows = [];
  if (recency < 1) {
    rows.push(row("age", "Age", { how: t("it keeps {share}% of that", { share: Math.round(recency * 100) }), gives: `×${decimal(recency, 3)}` }));
    if (isMixed(told)) rows.push(row("", "Left", { gives: decimal(fused.score * recency, 3), type: "why-sum" }));
  }
  if (isMixed(told)) {
    const { weight, normalized, fused_normalized: own, floor } = reranked;
    rows.push(row("", "Of that", { how: `${t("among those read → ")}${times(own, 1 - weight)}`, gives: signed((1 - weight) * own) }),
      row("rer", "Reranker", { how: reranked.score === null ? t("no score") : `${raw(reranked.score, t("score"), "", 3)}${times(normalized, weight)}`,
        drawn: stackedBar([["rer", weight * normalized]]), gives: signed(weight * normalized) }));
    if (floor > 0) rows.push(row("floor", "Read in time", { how: t("above what the reranker did not reach"), gives: signed(floor) }));
  }
  return [...rows, row("", "Score", { drawn: scoreBar(told, score), gives: decimal(score, 3), type: "why-total" })];
}

function remarks(result) {
  const { explanation: told, pinned, exact } = result.meta;
  const said = [];
  if (exact) said.push(t("The whole query is its slugline, byline, credit, source, uri or id: its score did not decide."));
  if (pinned) said.push(t("Editors pinned it here: its score did not decide."));
  if (!told.fused.score) said.push(t("It is no nearer than any unrelated story: it fills the list."));
  else if (told.lexical.weight > 0 && !told.lexical.rank) said.push(t("No word of the query is in this story: its meaning alone led here."));
  return said.map((text) => el("p", { class: "remark" }, text));
}

/** Two hits side by side: where the difference of their scores comes from. */
function difference(result, other) {
  const parts = (one) => new Map(scoreParts(one.meta.explanation).map((part) => [part.kind, part]));
  const [own, theirs] = [parts(result), parts(other)];
  const rows = [...new Set([...own.keys(), ...theirs.keys()])].map((kind) => {
    const [mine, yours] = [own.get(kind), theirs.get(kind)];
    return { kind, name: (mine || yours).name, mine: mine ? mine.gives : 0, yours: yours ? yours.gives : 0 };
  });
  const apart = result.meta.score - other.meta.score;
  const most = [...rows].sort((a, b) => Math.sign(apart) * (b.mine - b.yours - a.mine + a.yours))[0];
  const names = [`#${number(result.meta.rank)}`, `#${number(other.meta.rank)}`];
  const cell = (value) => el("td", {}, decimal(value, 3));
  return [
    el("p", { class: "why-apart" }, Math.abs(apart) < 0.0005 ? t("{one} and {other} have the same score.", { one: names[0], other: names[1] })
      : t(apart > 0 ? "{one} has {apart} more than {other}; {part} adds it the most ({most})." : "{one} has {apart} less than {other}; {part} costs it the most ({most}).",
        { one: names[0], other: names[1], apart: decimal(Math.abs(apart), 3), part: t(most.name).toLowerCase(), most: signed(most.mine - most.yours) })),
    el("table", {}, el("thead", {}, el("tr", {}, [t("Part"), ...names, t("Difference")].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, rows.map(({ kind, name, mine, yours }) => el("tr", {}, el("th", { scope: "row" }, swatch(kind), t(name)),
        cell(mine), cell(yours), el("td", {}, signed(mine - yours)))),
      el("tr", { class: "why-total" }, el("th", { scope: "row" }, t("Score")), cell(result.meta.score), cell(other.meta.score), el("td", {}, signed(apart))))),
  ];
}

function chooser(result, others) {
  const left = others.filter((other) => other.item.uri !== result.item.uri && other.meta.explanation);
  if (!left.length) return null;
  const shown = el("div", { class: "why-versus", "aria-live": "polite" });
  const select = el("select", { onchange: () => shown.replaceChildren(...(select.value === "" ? [] : difference(result, left[Number(select.value)]))) },
    el("option", { value: "" }, t("another story of this answer")),
    left.map((other, at) => el("option", { value: at }, `#${number(other.meta.rank)} ${(other.item.headline || other.item.uri).slice(0, 70)}`)));
  return el("div", { class: "why-compare" }, el("label", {}, t("Compare with "), select), shown);
}

/** The whole picture of one hit. `others` are the hits that it can be compared with. */
export function whyPicture(result, { others = [] } = {}) {
  const { explanation: told, score, rank } = result.meta;
  made += 1;
  const title = `why-${made}`;
  const rows = fusedParts(told).map((part) => row(part.kind, part.name, { rank: part.rank, how: `${part.raw}${times(part.share, part.weight)}`,
    drawn: stackedBar([[part.kind, part.gives]]), gives: signed(part.gives) }));
  const fused = row("", "Fused", { rank: told.fused.rank, gives: decimal(told.fused.score, 3), type: "why-sum" });
  return el("section", { class: "why", "aria-labelledby": title },
    el("h3", { id: title }, t("Why it is number {rank}", { rank: number(rank) })),
    el("ol", { class: "why-rows" }, rows, (told.recency < 1 || isMixed(told)) && fused, laterRows(told, score)),
    remarks(result), chooser(result, others));
}

/** Whether scores gave the order: a list ordered by date has no explanation. */
export const isScored = (told) => Boolean(told && (told.lexical.normalized || told.vectors.length));

/** A button that unfolds the picture under a hit, which is drawn at the first click. */
export function whyButton(result, fold, actions) {
  const button = el("button", { type: "button", class: "why-button", "aria-expanded": "false", onclick: () => {
    if (!fold.firstChild) fold.append(whyPicture(result, actions.shown()));
    fold.hidden = !fold.hidden;
    button.setAttribute("aria-expanded", String(!fold.hidden));
  } }, t("Why number {rank}?", { rank: number(result.meta.rank) }));
  return button;
}
