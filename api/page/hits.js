// One hit: what it is, when and where, why it is here.

import { bar, el, marked, stackedBar, unmarked } from "./dom.js";
import { number, plural, time, typeName } from "./format.js";
import { placeholder } from "./pictures.js";
import { similarLink } from "./similar.js";

const NAMES = { person: 3, place: 2 }; // shown per hit

/** The vector field that saw the item best, and what all of them added to the fused score. */
function vectorView(explanation) {
  const shares = explanation.vectors || [];
  const found = shares.filter((share) => share.rank > 0).sort((a, b) => a.rank - b.rank);
  const best = found[0] || shares[0] || { rank: 0, normalized: 0, cosine: null };
  return { best, added: shares.reduce((sum, share) => sum + share.weight * share.normalized, 0) };
}

/** What BM25 and the vectors each added to the fused score, 0 to 1 together. */
function parts(explanation) {
  const lexical = explanation.lexical.weight * explanation.lexical.normalized;
  return [["lex", lexical], ["vec", vectorView(explanation).added]];
}

function rankCell(name, rank, drawn, title) {
  return el("div", { class: rank ? "rank" : "rank rank-none", title },
    el("dt", {}, name),
    el("dd", {}, rank ? `#${number(rank)}` : "–", drawn));
}

/** Ranks by BM25, vectors, fusion and reranker, each with its normalized score as a bar. */
export function ranks(explanation) {
  const { lexical, fused, reranked, recency } = explanation;
  const { best } = vectorView(explanation);
  return el("dl", { class: "ranks", "aria-label": "Ranks by stage" },
    rankCell("BM25", lexical.rank, bar("lex", lexical.normalized),
      lexical.rank ? "Rank by the words of the query" : "No word of the query is in it"),
    rankCell("Vectors", best.rank, bar("vec", best.normalized),
      best.rank ? "Rank by meaning" : "Not among the nearest by meaning"),
    rankCell("Fused", fused.rank, stackedBar(parts(explanation)), "Both together: blue from words, amber from meaning"),
    recency < 1 && el("div", { class: "rank", title: "What its age leaves of the fused score" },
      el("dt", {}, "Recency"), el("dd", {}, `×${recency.toFixed(2)}`, bar("age", recency))),
    reranked && rankCell("Reranked", reranked.rank, bar("rer", sigmoid(reranked.score)), "After the reranker's look"));
}

/** Reranker scores have no bounds of their own; those between 0 and 1 are drawn as they are. */
const sigmoid = (score) => (score >= 0 && score <= 1 ? score : 1 / (1 + Math.exp(-score)));

export function badge(item) {
  return el("span", { class: `badge badge-${item.type}` }, typeName(item.type));
}

/** "PORTO ALTO — 5 Mar 2024, 08:30" */
export function placeAndTime(item) {
  return el("span", { class: "dateline" },
    item.located && el("span", { class: "located" }, item.located),
    time(item.versioncreated));
}

const caption = (item) => item.description_caption || item.description_summary || "";

function passage(result) {
  const { meta, item } = result;
  const highlights = meta.highlights || {};
  const spoken = highlights.description_caption || highlights.description_summary;
  const text = meta.passage || spoken || highlights.body_text || caption(item);
  return unmarked(text) ? el("p", { class: "passage" }, marked(text)) : null;
}

function nameChips(item, onFilter) {
  const chips = [];
  for (const [field, most] of Object.entries(NAMES)) {
    for (const concept of (item[field] || []).slice(0, most)) {
      chips.push(el("button", {
        type: "button", class: `name name-${field}`, title: `Only with ${concept.name}`,
        onclick: () => onFilter(field, concept.name),
      }, concept.name));
    }
  }
  return chips.length ? el("span", { class: "names" }, chips) : null;
}

export function headlineLink(result, address, actions) {
  const { meta, item } = result;
  const text = (meta.highlights || {}).headline || item.headline || caption(item) || item.uri;
  return el("a", {
    class: "headline", href: address(item.uri), "data-uri": item.uri,
    onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      actions.open(item.uri, meta);
    },
  }, marked(text));
}

/** The whole hit as an article. */
export function hitNode(result, address, actions) {
  const { meta, item } = result;
  const media = placeholder(item);
  return el("article", { class: media ? "hit has-media" : "hit", "data-uri": item.uri },
    el("span", { class: "place-number", "aria-hidden": "true" }, number(meta.rank)),
    el("div", { class: "hit-body" },
      el("p", { class: "kicker" }, badge(item), placeAndTime(item), meta.pinned && el("span", { class: "pinned" }, "Pinned by editors")),
      el("h2", { dir: "auto" }, headlineLink(result, address, actions)),
      passage(result),
      el("p", { class: "foot" },
        nameChips(item, actions.filter),
        meta.versions > 1 && el("button", {
          type: "button", class: "versions", onclick: () => actions.open(item.uri, meta, "versions"),
        }, plural(meta.versions, "version", "versions")),
        similarLink(item, actions.go),
        actions.kill && el("button", {
          type: "button", class: "kill", "aria-label": `Kill: ${item.headline || item.uri}`,
          onclick: () => actions.kill(item),
        }, "Kill"))),
    media && el("div", { class: "media" }, media),
    meta.explanation && ranks(meta.explanation));
}
