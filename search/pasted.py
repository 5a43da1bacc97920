"""Coverage like this: a pasted text takes the place of a query, and is never parsed as one.

The text is reduced to its most telling words, as an item is in "more like this", and to the
passages that hold most of them. How rare a word is, is asked of the archive as the caller sees it.
A query that is longer than any query may be, or a page of prose, is taken the same way.
"""

from __future__ import annotations

import re
from dataclasses import replace
from math import log

from core.callers import Caller
from core.errors import QueryError
from core.model_ports import TextAnalysis
from core.ports import Exemplars
from core.query_tree import EVERYTHING, Bool, Node, Word
from search.answers import MAX_QUERY_CHARACTERS, SearchRequest, Understood
from search.similar import MOST_WORDS, WORD, counted_terms
from search.understanding import accidental_operators
from search.understanding.lucene_tree import MAX_CLAUSES
from search.understanding.understand import Meaning, describe

MOST_PASSAGES = 8
_PASSAGE = 150  # words
_MOST_RANKED = 600  # different words of which the archive says how rare they are
_LONGEST_WORD = 40  # characters; longer ones are base64, links and the like
_LANGUAGE = "en"  # whose stop words are left out; stems are of each language of the archive
_PIECE = re.compile(r"\S+")


def with_text(request: SearchRequest) -> SearchRequest:
    """The request, with a query that is no query as its text. Raises QueryError where a text and a
    query or an item are both given.
    """
    if request.text and (request.q.strip() or request.similar_to):
        raise QueryError(
            "a text and q or similar_to are both given",
            mend="search by one of them; filters narrow what is like a text",
        )
    if request.text or request.similar_to or not is_text(request.q):
        return request
    return replace(request, q="", text=request.q)


def is_text(query: str) -> bool:
    """Whether a query is taken for a pasted text: it has more than 4,096 characters, or it is prose
    of more than 256 words.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        return True
    many = len(query) > 2 * MAX_CLAUSES and len(WORD.findall(query)) > MAX_CLAUSES
    return many and accidental_operators.is_prose(query)


def meaning_of_text(
    text: str, archive: Exemplars, analysis: TextAnalysis, caller: Caller
) -> Meaning:
    """What a pasted text asks for: its telling words by BM25, its passages by vectors."""
    words, lacking = telling_words(text, archive, analysis, caller)
    passages = telling_passages(text, words)
    tree: Node = Bool(should=tuple(map(Word, words))) if words else Word("")
    whole = len(_PIECE.findall(text))
    note = (
        f"a text of {whole:,} words, not read as a query: its {len(words)} most telling words and "
        f"{len(passages)} passages of it are searched for"
    )
    flags = (f"lexical: the words were chosen by a part of the archive: {lacking}",)
    said = Understood(vector_text="", lexical=describe(tree), notes=(note,))
    return Meaning(tree, EVERYTHING, said, degraded=flags if lacking else (), passages=passages)


def telling_words(
    text: str, archive: Exemplars, analysis: TextAnalysis, caller: Caller
) -> tuple[tuple[str, ...], str]:
    """At most MOST_WORDS words of the text with the highest tf-idf, and why only a part of the
    archive had a say in them, "" where all of it had. Words that fewer than two items have come
    last: the archive can't tell those that no item has.
    """
    read = (w for w in WORD.findall(text) if len(w) <= _LONGEST_WORD and not w.isdecimal())
    counts, written = counted_terms(read, analysis, _LANGUAGE)
    terms = [term for term, _ in counts.most_common(_MOST_RANKED)]
    if not terms:
        return (), ""
    found = archive.rarities([written[term] for term in terms], _LANGUAGE, caller)
    weights = {
        term: (1 + log(counts[term])) * rarity
        for term, rarity in zip(terms, found.values.tolist(), strict=True)
    }
    terms.sort(key=lambda term: -weights[term])  # stable: equals stay in order
    return tuple(written[term] for term in terms[:MOST_WORDS]), found.lacking


def telling_passages(text: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """At most MOST_PASSAGES passages of the text, in order: those with most of `words`."""
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
