"""More like this: an item takes the place of the query, and the same path answers.

The vectors are searched for the mean of the item's passages. BM25 searches for its most telling
words: those of the headline, then those with the highest tf-idf in its text (as Lucene's
MoreLikeThis chooses them). Its own story is left out before anything is normalized: it matches
itself best, and would set the scale for the others.

`URI#t=12.5` names the shot of a video that is shown at that second (Media Fragments URI 1.0,
section 4.2.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import log

import numpy as np

from core.callers import Caller
from core.errors import NotFoundError, QueryError
from core.items import FloatMatrix, Item, shot_of
from core.model_ports import TextAnalysis
from core.ports import Exemplars
from core.query_tree import EVERYTHING, Bool, Node, Word
from core.retrieval import Exemplar, VectorQuery
from search.answers import Understood
from search.profiles import Profile
from search.understanding.understand import Likeness, Meaning, describe

MOST_WORDS = 25  # Lucene's MoreLikeThis takes as many
MOST_HEADLINE_WORDS = 10
_LONGEST_TEXT = 20_000  # characters; a story says early what its subject is
_MOST_READ = 5_000  # words that are read, as in Lucene's MoreLikeThis
WORD = re.compile(r"[^\W_]+")
_ROUNDED_S = 1e-6  # answers give moments to microseconds
_MOMENT = re.compile(r"(?P<uri>.+)#t=(?P<seconds>\d{1,7}(?:\.\d{1,6})?)(?:,[\d.]{1,15})?", re.ASCII)


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
    vectors, flags = _vector_queries(exemplar, profile)
    if lacking:
        chosen = "lexical: the item's words were chosen by a part of the archive"
        flags = (f"{chosen}: {lacking}", *flags)
    return Meaning(tree, EVERYTHING, said, like=Likeness(exemplar.story, vectors, flags))


def _vector_queries(
    exemplar: Exemplar, profile: Profile
) -> tuple[tuple[VectorQuery, ...], tuple[str, ...]]:
    """The request to each vector field, and the flags of fields without a vector of the item."""
    queries: list[VectorQuery] = []
    flags: list[str] = []
    for field, weight in profile.vector_weights.items():
        passages = exemplar.vectors.get(field)
        if passages is None or not len(passages):
            flags.append(f"vectors: the item has no passage under field {field}")
        elif weight > 0:
            given = partial(_given, mean_passage(passages))
            queries.append(VectorQuery(field, weight, given, exemplar.encoders.get(field, "")))
    return tuple(queries), tuple(flags)


def check_still_there(archive: Exemplars, uri: str, caller: Caller) -> None:
    """Raises NotFoundError where the item of a "more like this" answer has vanished since, because
    the answer tells the item's words. An empty uri always passes.
    """
    if uri and exemplar_at(archive, uri, caller) is None:
        raise _missing(uri)


def exemplar_at(archive: Exemplars, uri: str, caller: Caller) -> Exemplar | None:
    """The item at `uri`; for a shot, that shot's words and vectors alone. None where the caller
    sees no such item. Raises QueryError for a shot that does not exist or has no description.
    """
    found = archive.exemplar(uri, caller)
    named = _MOMENT.fullmatch(uri)
    if found is not None or named is None:
        return found
    whole = archive.exemplar(named["uri"], caller)
    return None if whole is None else _of_shot(whole, float(named["seconds"]))


def _of_shot(whole: Exemplar, seconds: float) -> Exemplar:
    item = whole.item
    moment = seconds + _ROUNDED_S
    shown = (n for n, shot in enumerate(item.shots) if shot.start_s <= moment < shot.end_s)
    place = next(shown, -1)
    if place < 0 or not item.shots[place].description:
        raise QueryError(
            f"there is no described shot at {seconds:g} s",
            where="similar_to",
            mend="leave the moment out, or take one of a shot that has a description",
        )
    vectors = {}
    for field, matrix in whole.vectors.items():
        spans = whole.passages.get(field, ())
        rows = [
            row
            for row, span in enumerate(spans)
            if span.field == "shotlist" and shot_of(item, span) == place
        ]
        vectors[field] = matrix[np.array(rows, np.int64)]
    # Only what the shot shows: the video's other words would find items like the whole video.
    alone = replace(
        item,
        headline="",
        description=item.shots[place].description,
        body="",
        caption="",
        shots=(),
        subject=(),
        person=(),
        organisation=(),
        place=(),
    )
    return replace(whole, item=alone, vectors=vectors)


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
    words = WORD.findall(_text(item))[:_MOST_READ]
    counts, written = counted_terms(words, analysis, item.language)
    terms = list(counts)
    found = archive.rarities([written[term] for term in terms], item.language, caller)
    rarities = dict(zip(terms, found.values.tolist(), strict=True))
    chosen = _of_headline(item, analysis, rarities)
    rest = [term for term in terms if rarities[term] > 0 and term not in chosen]
    rest = [term for term in rest if not term.isdecimal()]
    rest.sort(key=lambda term: (-(1 + log(counts[term])) * rarities[term], term))
    return tuple(written[term] for term in (*chosen, *rest)[:MOST_WORDS]), found.lacking


def counted_terms(
    words: Iterable[str], analysis: TextAnalysis, language: str
) -> tuple[Counter[str], dict[str, str]]:
    """How often each index term stands in `words`, without stop words, in order of appearance; and
    how its first word is written.
    """
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for word, count in Counter(words).items():
        if analysis.is_stop_word(word, language):
            continue
        for term in analysis.terms(word, language)[:1]:
            counts[term] += count
            written.setdefault(term, word)
    return counts, written


def _of_headline(item: Item, analysis: TextAnalysis, rarities: Mapping[str, float]) -> list[str]:
    """The headline's telling index terms; of a long headline the rarest, in order."""
    words = WORD.findall(item.headline)[:_MOST_READ]
    found = (analysis.terms(word, item.language)[:1] for word in words)
    terms = [term for term in dict.fromkeys(sum(found, ())) if rarities.get(term, 0.0) > 0]
    rarest = sorted(terms, key=lambda term: -rarities[term])[:MOST_HEADLINE_WORDS]
    return [term for term in terms if term in rarest]


def _text(item: Item) -> str:
    concepts = (*item.person, *item.organisation, *item.place, *item.subject)
    names = "\n".join(concept.name for concept in concepts)
    own = (item.headline, item.description, names, item.body[:_LONGEST_TEXT])
    return "\n".join((*own, item.caption, item.shotlist[:_LONGEST_TEXT]))


def _missing(uri: str) -> NotFoundError:
    return NotFoundError(
        f"there is no item '{uri[:200]}' for this caller",
        where="similar_to",
        mend="check the uri and its encoding, or that your plan includes the item",
    )
