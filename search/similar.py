"""More like this: an item takes the place of the query, and the same path answers.

The vectors are searched for the mean of the item's passages. BM25 searches for its most telling
words: those of the headline, then those with the highest tf-idf in its text (as Lucene's
MoreLikeThis chooses them). Its own story is left out before anything is normalized: it matches
itself best, and would set the scale for the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import log

import numpy as np

from core.callers import Caller
from core.errors import NotFoundError, QueryError
from core.items import FloatMatrix, Item
from core.model_ports import TextAnalysis
from core.ports import Exemplars
from core.query_tree import EVERYTHING, Bool, Node, Word
from core.retrieval import Ids, Ints, Marks, Retrieved, SortOrder, VectorQuery
from search.answers import SearchRequest, Understood
from search.profiles import Profile
from search.shots import exemplar_at
from search.understanding.understand import Likeness, Meaning, describe

MOST_WORDS = 25  # Lucene's MoreLikeThis takes as many
MOST_HEADLINE_WORDS = 10
_LONGEST_TEXT = 20_000  # characters; a story says early what its subject is
_MOST_READ = 5_000  # words that are read, as in Lucene's MoreLikeThis
_WORD = re.compile(r"[^\W_]+")


def item_queries(like: Likeness, profile: Profile) -> tuple[list[VectorQuery], list[str]]:
    """The request to each vector field, and the flags: that only a part of the archive chose the
    words, or that a field has no vector of the item.
    """
    queries: list[VectorQuery] = []
    chosen = "lexical: the item's words were chosen by a part of the archive"
    flags = [f"{chosen}: {like.lacking}"] if like.lacking else []
    for field, weight in profile.vector_weights.items():
        passages = like.exemplar.vectors.get(field)
        if passages is None or not len(passages):
            flags.append(f"vectors: the item has no passage under field {field}")
        elif weight > 0:
            mean = mean_passage(passages)
            encoder = like.exemplar.encoders.get(field, "")
            queries.append(VectorQuery(field, weight, partial(_given, mean), encoder))
    return queries, flags


def without_story(found: Retrieved, stories: Ids, story: int) -> Retrieved:
    """The candidates without those of `story`; `stories` is aligned with them. Ranks close up."""
    own: Marks = stories == story
    if not own.any():
        return found
    kept = ~own
    vectors = tuple(
        replace(
            part,
            cosines=part.cosines[kept],
            passages=part.passages[kept],
            ranks=_closed_up(part.ranks, own)[kept],
        )
        for part in found.vectors
    )
    matching = int(np.count_nonzero(own & (found.lexical_ranks > 0)))
    return replace(
        found,
        ids=found.ids[kept],
        bm25=found.bm25[kept],
        lexical_ranks=_closed_up(found.lexical_ranks, own)[kept],
        lexical_matches=max(0, found.lexical_matches - matching),
        vectors=vectors,
    )


def check_similar(request: SearchRequest) -> None:
    """Raises QueryError for options that can't be combined with an item."""
    if not request.similar_to:
        return
    if request.q.strip():
        raise QueryError(
            "q and similar_to are both given",
            mend="search by one of them; filters narrow what is like an item",
        )
    if request.why_missing == request.similar_to:
        raise QueryError(
            "an item is not among what is like it",
            where="why_missing",
            mend="ask it of another item",
        )
    if request.order is not SortOrder.SCORE:
        raise QueryError(
            "what is like an item is ordered by likeness alone",
            mend="leave the sort order out, or give a range of dates",
        )


def likeness(
    archive: Exemplars, analysis: TextAnalysis, uri: str, caller: Caller, profile: Profile
) -> Meaning:
    """The item at `uri` and its words, as a query's meaning. Raises NotFoundError, with the same
    message for an item that does not exist and for one that the caller may not see.
    """
    exemplar = exemplar_at(archive, uri, caller)
    if exemplar is None:
        raise _missing(uri)
    telling, lacking = telling_words(exemplar.item, archive, analysis, caller)
    words = tuple(map(Word, telling))
    # The empty word: BM25 finds nothing, and it does not narrow what the vectors find.
    tree: Node = Bool(should=words) if words else Word("")
    reranking = profile.rerank_depth and profile.rerank_weight > 0
    notes = ("what is like an item is not reranked",) if reranking else ()
    said = Understood(vector_text="", lexical=describe(tree), notes=notes)
    return Meaning(tree, EVERYTHING, said, like=Likeness(exemplar, lacking))


def check_still_there(archive: Exemplars, uri: str, caller: Caller) -> None:
    """Raises NotFoundError where the item of a "more like this" answer has vanished since, because
    the answer tells the item's words. An empty uri always passes.
    """
    if uri and exemplar_at(archive, uri, caller) is None:
        raise _missing(uri)


def mean_passage(passages: FloatMatrix) -> FloatMatrix:
    """float32 [1, d], unit norm: the mean of unit vectors [n, d]. If they cancel out, the first
    vector.
    """
    mean = passages.mean(axis=0, keepdims=True, dtype=np.float32)
    length = float(np.linalg.norm(mean))
    if length < np.finfo(np.float32).eps:
        mean, length = passages[:1], float(np.linalg.norm(passages[0])) or 1.0
    found: FloatMatrix = (mean / np.float32(length)).astype(np.float32)
    return found


def _given(vector: FloatMatrix) -> FloatMatrix:
    return vector


def telling_words(
    item: Item, archive: Exemplars, analysis: TextAnalysis, caller: Caller
) -> tuple[tuple[str, ...], str]:
    """At most MOST_WORDS telling words of an item, and why only a part of the archive had a say in
    them ("" where all of it had).

    Up to MOST_HEADLINE_WORDS come from the headline, in order; then come those with the highest
    tf-idf. Stop words, words of no other item that `caller` sees, and numbers outside the headline
    are left out.
    """
    counts: dict[str, int] = {}  # by index term
    written: dict[str, str] = {}
    words = _WORD.findall(_text(item))[:_MOST_READ]
    for word, count in Counter(words).items():  # in order of appearance
        if analysis.is_stop_word(word, item.language):
            continue
        for term in analysis.terms(word, item.language)[:1]:
            counts[term] = counts.get(term, 0) + count
            written.setdefault(term, word)
    terms = list(counts)
    found = archive.rarities([written[term] for term in terms], item.language, caller)
    rarities = dict(zip(terms, found.values.tolist(), strict=True))
    chosen = _of_headline(item, analysis, rarities)
    rest = [term for term in terms if rarities[term] > 0 and term not in chosen]
    rest = [term for term in rest if not term.isdecimal()]
    rest.sort(key=lambda term: (-(1 + log(counts[term])) * rarities[term], term))
    return tuple(written[term] for term in (*chosen, *rest)[:MOST_WORDS]), found.lacking


def _of_headline(item: Item, analysis: TextAnalysis, rarities: Mapping[str, float]) -> list[str]:
    """The headline's telling index terms; of a long headline the rarest, in order."""
    words = _WORD.findall(item.headline)[:_MOST_READ]
    found = (analysis.terms(word, item.language)[:1] for word in words)
    terms = [term for term in dict.fromkeys(sum(found, ())) if rarities.get(term, 0.0) > 0]
    rarest = sorted(terms, key=lambda term: -rarities[term])[:MOST_HEADLINE_WORDS]
    return [term for term in terms if term in rarest]


def _text(item: Item) -> str:
    concepts = (*item.person, *item.organisation, *item.place, *item.subject)
    names = "\n".join(concept.name for concept in concepts)
    own = (item.headline, item.description, names, item.body[:_LONGEST_TEXT])
    return "\n".join((*own, item.caption, item.shotlist[:_LONGEST_TEXT]))


def _closed_up(ranks: Ints, left_out: Marks) -> Ints:
    """The 1-based ranks after some candidates are left out; 0 stays 0."""
    gone = np.sort(ranks[left_out & (ranks > 0)])
    closed: Ints = (ranks - np.searchsorted(gone, ranks)).astype(np.int32)
    return closed


def _missing(uri: str) -> NotFoundError:
    return NotFoundError(
        f"there is no item '{uri[:200]}' for this caller",
        where="similar_to",
        mend="check the uri and its encoding, or that your plan includes the item",
    )
