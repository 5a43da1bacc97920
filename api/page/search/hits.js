// One hit: what it is, when and where, why it is here.

import { t } from "../shared/texts.js";
import { bar, el, marked, stackedBar, unmarked } from "../shared/dom.js";
import { number, plural, time, typeName, undescribed } from "../shared/format.js";
import { pick } from "../desk/chosen.js";
import { foundLines, isFound } from "./found.js";
import { filmStrip, machineCaption, machineMark, shotLine, thumbnail } from "../lightbox/media.js";
import { similarLink } from "./similar.js";
import { fusedParts, isScored, scoreBar, whyButton } from "./why.js";

const NAMES = { person: 3, place: 2 }; // shown per hit

/** The vector field with the item's best score; undefined in a search without vectors. */
function bestVector(explanation) {
  const shares = explanation.vectors || [];
  const found = shares.filter((share) => share.rank > 0).sort((a, b) => a.rank - b.rank);
  return found[0] || shares[0];
}

function rankCell(name, rank, drawn, title) {
  return el("div", { class: rank ? "rank" : "rank rank-none", title },
    el("dt", {}, name),
    el("dd", {}, rank ? `#${number(rank)}` : "–", drawn));
}

/** Ranks by BM25, vectors, fusion and reranker, each with its normalized score as a bar. */
export function ranks(explanation, score) {
  const { lexical, fused, reranked, recency } = explanation;
  const best = bestVector(explanation);
  const added = fusedParts(explanation).map(({ kind, gives }) => [kind, gives]);
  return el("dl", { class: "ranks", "aria-label": t("Ranks by stage") },
    lexical.weight > 0 && rankCell("BM25", lexical.rank, bar("lex", lexical.normalized),
      lexical.rank ? t("Rank by the words of the query") : t("No word of the query is in it")),
    best && rankCell(t("Vectors"), best.rank, bar("vec", best.normalized),
      best.rank ? t("Rank by meaning") : t("Not among the nearest by meaning")),
    rankCell(t("Fused"), fused.rank, stackedBar(added), t("All together: blue from words, amber from meaning, green from names")),
    recency < 1 && el("div", { class: "rank", title: t("What its age leaves of the fused score") },
      el("dt", {}, t("Recency")), el("dd", {}, `×${recency.toFixed(2)}`, bar("age", recency))),
    reranked && rankCell(t("Reranked"), reranked.rank, scoreBar(explanation, score), t("After the reranker's look: its part is violet")));
}

export function badge(item) {
  return el("span", { class: `badge badge-${item.type}` }, typeName(item.type));
}

/** Marks a live source: `live` is that of a hit or of an item. */
export function liveMark(live) {
  const texts = { running: t("Live"), "broken off": t("Live, broken off"), ended: t("Live until now") };
  const text = live && texts[live.state];
  return text ? el("span", { class: live.state === "running" ? "live" : "live off" }, text) : null;
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
  const beside = isFound(meta) && hasHeading(item); // its line stands below, with who found it
  const text = (!beside && meta.passage) || spoken || highlights.body_text || caption(item);
  return unmarked(text) ? el("p", { class: "passage" }, marked(text)) : null;
}

function nameChips(item, onFilter) {
  const chips = [];
  for (const [field, most] of Object.entries(NAMES)) {
    for (const concept of (item[field] || []).slice(0, most)) {
      chips.push(el("button", {
        type: "button", class: `name name-${field}`, title: t("Only with {name}", { name: concept.name }),
        onclick: () => onFilter(field, concept.name),
      }, concept.name));
    }
  }
  return chips.length ? el("span", { class: "names" }, chips) : null;
}

/** The headline of media without words of their own: the line at which they open. */
const lineTitle = (meta) => meta.opens_at && (meta.passage || meta.opens_at.text);

/** Whether an item has a heading of its own, or of a machine's, so that its passage is another text. */
const hasHeading = (item) => Boolean(item.headline || caption(item) || item.machine_caption);

export function headlineLink(result, address, actions) {
  const { meta, item } = result;
  const own = (meta.highlights || {}).headline || item.headline || caption(item);
  const said = own ? null : item.machine_caption;
  const text = own || (said && ((meta.highlights || {}).machine_caption || said.text)) || lineTitle(meta);
  const link = el("a", {
    class: text ? "headline" : "headline untold", href: address(item.uri), "data-uri": item.uri,
    onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      actions.open(item.uri, meta);
    },
  }, text ? marked(text) : undescribed(item));
  const madeBy = said ? said.made_by : !own && meta.opens_at && meta.opens_at.made_by;
  return madeBy ? el("span", {}, link, " ", machineMark(madeBy)) : link;
}

/** The whole hit as an article. */
export function hitNode(result, address, actions) {
  const { meta, item } = result;
  const media = thumbnail(result, actions.look);
  const told = meta.explanation;
  const explained = isScored(told);
  const fold = explained && el("div", { class: "why-fold", hidden: true });
  return el("article", { class: media ? "hit has-media" : "hit", "data-uri": item.uri },
    el("span", { class: "place-number", "aria-hidden": "true" }, number(meta.rank)),
    el("div", { class: "hit-body" },
      el("p", { class: "kicker" }, actions.keep && pick(item), badge(item), liveMark(meta.live), placeAndTime(item), meta.pinned && el("span", { class: "pinned" }, t("Pinned by editors"))),
      el("h2", { dir: "auto" }, headlineLink(result, address, actions)),
      (hasHeading(item) || !lineTitle(meta)) && passage(result),
      shotLine(result, actions),
      foundLines(result, !hasHeading(item)),
      (item.headline || caption(item)) && machineCaption(item, (meta.highlights || {}).machine_caption),
      filmStrip(result),
      el("p", { class: "foot" },
        nameChips(item, actions.filter),
        (meta.near_duplicates || []).length > 0 && el("span", { class: "folded", title: meta.near_duplicates.join("\n") },
          t("and {stories} with nearly the same text", { stories: plural(meta.near_duplicates.length, "story", "stories") })),
        meta.versions > 1 && el("button", {
          type: "button", class: "versions", onclick: () => actions.open(item.uri, meta, "versions"),
        }, plural(meta.versions, "version", "versions")),
        similarLink(item, actions.go),
        actions.keep && el("button", { type: "button", class: "keep", "aria-label": t("Put into a basket: {name}", { name: unmarked(item.headline) || item.uri }), onclick: () => actions.keep(item, actions) }, t("Basket")),
        explained && whyButton(result, fold, actions),
        actions.kill && el("button", {
          type: "button", class: "kill", "aria-label": t("Kill: {name}", { name: item.headline || item.uri }),
          onclick: () => actions.kill(item),
        }, t("Kill")))),
    media && el("div", { class: "media" }, media),
    explained && ranks(told, meta.score),
    fold);
}

/** The hits, with a rule between strong and related ones; `before` is the hit above them, if there is one. */
export function hitNodes(results, address, actions, before) {
  return ruled(results, before, (result) => hitNode(result, address, actions));
}

/** What `shown` makes of each hit, with a rule between strong and related ones. */
export function ruled(results, before, shown) {
  return results.flatMap((result, place) => {
    const above = place ? results[place - 1] : before;
    const begins = result.meta.relevance === "related" && above?.meta.relevance === "strong";
    return begins ? [el("p", { class: "related-rule" }, t("Related")), shown(result)] : [shown(result)];
  });
}
