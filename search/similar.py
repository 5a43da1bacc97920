"""More like this: an item or a pasted text takes the place of the query; the rest of the path is
the same.

The vectors are searched for the mean of the item's passages. BM25 searches for its most telling
words: those of the headline, then those with the highest tf-idf in its text (as Lucene's
MoreLikeThis chooses them). The item's own story is left out before anything is normalized: it
matches best, and would set the scale for the others.

A text is never parsed as a query. It is reduced to its most telling words, as an item is, and to
the passages that hold most of them. How rare a word is, is asked of the archive as the caller sees
it. A query that is longer than any query may be, or a page of prose, is taken as a text.

A picture, or a shot, is compared by what it looks like, too, if a model has looked at it. A picture
that comes with the request is compared by that alone.

`URI#t=12.5` names the shot of a video that is shown at that second (Media Fragments URI 1.0,
section 4.2.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import log

import numpy as np

from core.callers import Caller
from core.errors import NotFoundError, QueryError
from core.items import PICTURE, FloatMatrix, Item, line_of
from core.languages import primary_subtag
from core.ports.engine import Exemplars
from core.ports.models import TextAnalysis
from core.query_tree import EVERYTHING, Bool, Node, Word
from core.retrieval import Exemplar, VectorQuery
from search.answers import SimilarBy, Understood
from search.encoders import mean_passage
from search.profiles import LOOKS, Profile
from search.understanding.understand import Likeness, Meaning, describe

MOST_WORDS = 25  # Lucene's MoreLikeThis takes as many
MOST_HEADLINE_WORDS = 10
_LONGEST_TEXT = 20_000  # characters; a story says early what its subject is
_MOST_READ = 5_000  # words that are read, as in Lucene's MoreLikeThis
WORD = re.compile(r"[^\W_]+")
_ROUNDED_S = 1e-6  # answers give moments to microseconds
_MOMENT = re.compile(r"(?P<uri>.+)#t=(?P<seconds>\d{1,7}(?:\.\d{1,6})?)(?:,[\d.]{1,15})?", re.ASCII)

MOST_PASSAGES = 8  # passages of a text
_NO_STORY = -1
_PASSAGE = 150  # words
_MOST_RANKED = 600  # different words of a text of which the archive says how rare they are
_LONGEST_WORD = 40  # characters; longer ones are base64, links and the like
_STOP_WORDS_OF = "en"  # left out of a text whose language is not known
_PIECE = re.compile(r"\S+")


def likeness(
    archive: Exemplars,
    analysis: TextAnalysis,
    uri: str,
    caller: Caller,
    profile: Profile,
    by: SimilarBy = SimilarBy.BOTH,
) -> Meaning:
    """Return the item at `uri`, its words and what it looks like, as a query's meaning; with `by`
    one of them alone. Raises NotFoundError, with the same message for an item that does not exist
    and for one that the caller may not see, and QueryError for looks that are not known.
    """
    exemplar = exemplar_at(archive, uri, caller)
    if exemplar is None:
        raise _missing(uri)
    looks = () if by is SimilarBy.WORDS else _looks_query(exemplar, profile)
    if by is SimilarBy.LOOKS:
        return _of_looks(looks, exemplar.story)
    telling, lacking = telling_words(exemplar.item, archive, analysis, caller)
    words = tuple(map(Word, telling))
    # The empty word: BM25 finds nothing, and it does not narrow what the vectors find.
    tree: Node = Bool(should=words) if words else Word("")
    reranking = profile.rerank_depth and profile.rerank_weight > 0
    notes = ("items that are like an item are not reranked",) if reranking else ()
    language = primary_subtag(exemplar.item.language)
    vectors, flags = _vector_queries(exemplar, profile)
    if looks:
        compared = "words and looks" if words or vectors else "looks"
        notes = (f"compared: {compared}", *notes)
        flags = flags if vectors else ()  # a picture without words lacks nothing
        vectors = (*vectors, *looks)
    elif exemplar.item.media is not None:
        notes = ("compared: words", *notes)
    said = Understood(vector_text="", lexical=describe(tree), notes=notes, language=language)
    if lacking:
        chosen = "lexical: the item's words were chosen by a part of the archive"
        flags = (f"{chosen}: {lacking}", *flags)
    return Meaning(tree, EVERYTHING, said, like=Likeness(exemplar.story, vectors, flags))


def _vector_queries(
    exemplar: Exemplar, profile: Profile
) -> tuple[tuple[VectorQuery, ...], tuple[str, ...]]:
    """Return the request to each vector field, and the flags of fields without a vector of the
    item.
    """
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


def _looks_query(exemplar: Exemplar, profile: Profile) -> tuple[VectorQuery, ...]:
    """Return the request to the field of pictures: the mean of the item's pictures. Nothing for an
    item that no model has looked at.
    """
    pictures = exemplar.vectors.get(LOOKS)
    if pictures is None or not len(pictures):
        return ()
    given = partial(_given, mean_passage(pictures))
    return (VectorQuery(LOOKS, profile.looks_weight, given, exemplar.encoders.get(LOOKS, "")),)


def _of_looks(looks: tuple[VectorQuery, ...], story: int) -> Meaning:
    """Return what pictures that look alike are asked by. No word takes part."""
    if not looks:
        raise QueryError(
            "no model has looked at this item",
            where="similar_to",
            mend="compare its words (similar_by=words); or set `looks` and run `dateline embed`",
        )
    said = Understood(vector_text="", lexical="", notes=("compared: looks",))
    return Meaning(Word(""), EVERYTHING, said, like=Likeness(story, looks))


Sees = Callable[[bytes], tuple[FloatMatrix, str]]
"""Looks at the bytes of a picture of unknown origin: its unit vector, float32 [1, d], and the
digest of the model. Raises QueryError for what is no picture, or without a model.
"""


def meaning_of_picture(picture: bytes, sees: Sees | None) -> Meaning:
    """Return what a picture asks for: pictures and shots that look like it. Raises QueryError."""
    if sees is None:
        raise QueryError(
            "no model looks at pictures here",
            where="the body",
            mend="set `looks`, for example after `dateline models pull efficientnet-lite0`",
        )
    vector, digest = sees(picture)
    return _of_looks((VectorQuery(LOOKS, 1.0, partial(_given, vector), digest),), _NO_STORY)


def check_still_there(archive: Exemplars, uri: str, caller: Caller) -> None:
    """Raise NotFoundError if the item of a "more like this" answer has been hidden since, because
    the answer shows the item's words. An empty uri always passes.
    """
    if uri and exemplar_at(archive, uri, caller) is None:
        raise _missing(uri)


def exemplar_at(archive: Exemplars, uri: str, caller: Caller) -> Exemplar | None:
    """Return the item at `uri`; for a shot, that shot's words and vectors alone. None if the caller
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
    vectors = {}
    for field, matrix in whole.vectors.items():
        spans = whole.passages.get(field, ())
        rows = [
            row
            for row, span in enumerate(spans)
            if span.field in ("shotlist", PICTURE) and line_of(item, span) == place
        ]
        vectors[field] = matrix[np.array(rows, np.int64)]
    looked_at = len(vectors.get(LOOKS, ())) > 0
    if place < 0 or not (item.shots[place].description or looked_at):
        raise QueryError(
            f"there is no described shot at {seconds:g} s",
            where="similar_to",
            mend="leave the moment out, or take one of a shot that has a description",
        )
    # Only what the shot shows: the video's other words would find items like the whole video.
    alone = replace(
        item,
        headline="",
        description=item.shots[place].description,
        body="",
        caption="",
        shots=(),
        speech=(),
        seen=(),
        looks=(),
        subject=(),
        person=(),
        organisation=(),
        place=(),
    )
    return replace(whole, item=alone, vectors=vectors)


def _given(vector: FloatMatrix) -> FloatMatrix:
    return vector


def telling_words(
    item: Item, archive: Exemplars, analysis: TextAnalysis, caller: Caller
) -> tuple[tuple[str, ...], str]:
    """Return at most MOST_WORDS telling words of an item, and why they were chosen by only a part
    of the archive ("" if by all of it).

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
    """Return how often each index term stands in `words`, without stop words, in order of
    appearance; and how its first word is written.
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
    """Return the headline's telling index terms; of a long headline the rarest, in order."""
    words = WORD.findall(item.headline)[:_MOST_READ]
    found = (analysis.terms(word, item.language)[:1] for word in words)
    terms = [term for term in dict.fromkeys(sum(found, ())) if rarities.get(term, 0.0) > 0]
    rarest = sorted(terms, key=lambda term: -rarities[term])[:MOST_HEADLINE_WORDS]
    return [term for term in terms if term in rarest]


def _text(item: Item) -> str:
    concepts = (*item.person, *item.organisation, *item.place, *item.subject)
    names = "\n".join(concept.name for concept in concepts)
    own = (item.headline, item.description, names, item.body[:_LONGEST_TEXT])
    said = (item.shotlist, item.speech_text, item.seen_text, item.looks_text)
    return "\n".join((*own, item.caption, *(text[:_LONGEST_TEXT] for text in said)))


def _missing(uri: str) -> NotFoundError:
    return NotFoundError(
        f"there is no item '{uri[:200]}' for this caller",
        where="similar_to",
        mend="check the uri and its encoding, or that your plan includes the item",
    )


def meaning_of_text(
    text: str, archive: Exemplars, analysis: TextAnalysis, caller: Caller, language: str = ""
) -> Meaning:
    """Return what a pasted text in `language` ("" if not known) asks for: its telling words by
    BM25, its passages by vectors.
    """
    words, lacking = words_of_text(text, archive, analysis, caller, language)
    passages = passages_of_text(text, words)
    tree: Node = Bool(should=tuple(map(Word, words))) if words else Word("")
    note = (
        f"a text of {_counted(len(_PIECE.findall(text)), 'word')}, not read as a query: "
        f"{_counted(len(words), 'telling word')} and {_counted(len(passages), 'passage')} of it "
        "are searched for"
    )
    flags = (f"lexical: the words were chosen by a part of the archive: {lacking}",)
    said = Understood(vector_text="", lexical=describe(tree), notes=(note,), language=language)
    return Meaning(tree, EVERYTHING, said, degraded=flags if lacking else (), passages=passages)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def words_of_text(
    text: str, archive: Exemplars, analysis: TextAnalysis, caller: Caller, language: str = ""
) -> tuple[tuple[str, ...], str]:
    """Return at most MOST_WORDS words of the text with the highest tf-idf, and why they were chosen
    by only a part of the archive ("" if by all of it). Words that fewer than two items have come
    last: the archive can't tell which of them no item has.
    """
    read = (w for w in WORD.findall(text) if len(w) <= _LONGEST_WORD and not w.isdecimal())
    own = language or _STOP_WORDS_OF
    counts, written = counted_terms(read, analysis, own)
    terms = [term for term, _ in counts.most_common(_MOST_RANKED)]
    if not terms:
        return (), ""
    found = archive.rarities([written[term] for term in terms], own, caller)
    weights = {
        term: (1 + log(counts[term])) * rarity
        for term, rarity in zip(terms, found.values.tolist(), strict=True)
    }
    terms.sort(key=lambda term: -weights[term])  # stable: equals stay in order
    return tuple(written[term] for term in terms[:MOST_WORDS]), found.lacking


def passages_of_text(text: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return at most MOST_PASSAGES passages of the text, in order: those with most of `words`."""
    pieces = [found.span() for found in _PIECE.finditer(text)]
    spans = [
        (pieces[start][0], pieces[min(start + _PASSAGE, len(pieces)) - 1][1])
        for start in range(0, len(pieces), _PASSAGE)
    ]
    told = {word.casefold() for word in words}

    def telling(span: tuple[int, int]) -> int:
        held = {word.casefold() for word in WORD.findall(text[slice(*span)])}
        return -len(held & told)

    best = sorted(spans, key=telling)[:MOST_PASSAGES]
    longest = _PASSAGE * _LONGEST_WORD  # characters of a passage without blanks
    return tuple(text[start : min(end, start + longest)] for start, end in sorted(best))
