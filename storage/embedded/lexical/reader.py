"""BM25 over whole items with tantivy: one snapshot of the lexical index, for searching.

k1 is 1.2 and b .75, the defaults of Lucene and of tantivy's binding. Words without a field are
scored in `all`, plus a small share of the headline's own score; that was better than sums over
fields on the judged sets (docs/ranking.md). A profile may choose other weights.

A snapshot never changes, so it keeps what was once computed: in how many items a term is, the
compiled query of a word, and the bound of its score. Other queries have the same words again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import tantivy

from core.query_tree import TEXT_FIELDS, Bool, Keyword, Node, Word, all_of
from core.retrieval import Floats, Ids, LexicalWeights, Marks
from storage.embedded.commit_note import lacking
from storage.embedded.lexical.query import Compiler
from storage.record.item_fields import keyword_field, unstemmed_field
from storage.words.apart_words import EVERY_TEXT, ApartWords, most_held
from storage.words.lexical_bound import NO_BOUND, Bound, Supremum
from storage.words.query_readings import PLAIN, terms_of
from storage.words.stop_words import is_stop_word

_RARE = 32  # items; at most this many are checked one by one
_MOST_COUNTS = 65_536  # terms whose counts are kept
_MOST_KEPT = 16  # weights, and bitmaps of what callers may see

Key = TypeVar("Key")
Kept = TypeVar("Kept")
Hits: TypeAlias = Sequence[tuple[Any, tantivy.DocAddress]]


class TermCounts:
    """Counts the items of a snapshot with a term in a field, with `count`; each count is kept."""

    def __init__(self, count: Callable[[str, str], int]) -> None:
        self._count = count
        self._known: dict[tuple[str, str], int] = {}

    def __call__(self, field: str, term: str) -> int:
        """Return the number of items."""
        found = self._known.get((field, term))
        if found is None:
            if len(self._known) >= _MOST_COUNTS:
                self._known.clear()
            found = self._known[field, term] = self._count(field, term)
        return found


@dataclass(frozen=True, slots=True)
class _RareTerms:
    """Counts of rare terms in a snapshot, over the items that a caller sees. It has no reference to
    its reader: with such a cycle, files that were merged away would stay until the next full
    garbage collection.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema
    held: TermCounts

    def seen(self, allowed: Marks, field: str, term: str) -> int:
        """Return how many items have the term; 0 if they are few and none of them is allowed."""
        count = self.held(field, term)
        return count if count > _RARE or self.allowed(allowed, field, term) else 0

    def allowed(self, allowed: Marks, field: str, term: str) -> int:
        """Return how many items have the term; if they are few, only the allowed ones count."""
        count = self.held(field, term)
        if not 0 < count <= _RARE:
            return count
        query = tantivy.Query.term_query(self.schema, field, term)
        hits = self.searcher.search(query, count, count=False).hits
        size = len(allowed)
        return sum(1 for seq in _seqs(self.searcher, hits) if seq < size and allowed[seq])


@dataclass(frozen=True, slots=True)
class LexicalHits:
    """The best matches in order: ids int64 [n], BM25 float32 [n], how many match in all (n if they
    were not counted), and the upper bound of an item's score for the query with these weights: all
    of it, and the part of words that an allowed item has.
    """

    ids: Ids
    scores: Floats
    matches: int
    bound: Bound = NO_BOUND


class LexicalReader:
    """One snapshot of the index for searching. It `holds` these items (bool by seq). `languages`
    are those of the archive; only stop words of the `main` ones count. Thread-safe.
    """

    def __init__(
        self,
        searcher: tantivy.Searcher,
        schema: tantivy.Schema,
        languages: tuple[str, ...],
        main: tuple[str, ...],
        holds: Marks,
    ) -> None:
        self._searcher = searcher
        self._holds = holds
        self._same: tuple[Marks, bool] | None = None  # the last answer of `has_only`
        self._schema = schema
        self._languages = languages
        self._main = main
        self._held = TermCounts(lambda field, term: int(searcher.doc_freq(field, term)))
        self._rare = _RareTerms(searcher, schema, self._held)
        self._documents = int(searcher.num_docs)
        apart = ApartWords(self._documents, self._held)
        self._compiler = Compiler(schema, languages, main, PLAIN, apart)
        self._compilers: dict[tuple[Any, ...], Compiler] = {}
        self._suprema: dict[tuple[Any, ...], tuple[Marks | None, Supremum]] = {}
        self._lacks: dict[int, tuple[Marks, int]] = {}
        self._seen: dict[int, tuple[Marks, dict[tuple[Word, int], int]]] = {}

    def reads(
        self, searcher: tantivy.Searcher, languages: tuple[str, ...], main: tuple[str, ...]
    ) -> bool:
        """Return whether this reader was made for these."""
        known = (self._languages, self._main)
        return searcher is self._searcher and (languages, main) == known

    def lacking(self, wanted: Marks) -> int:
        """Return how many of the `wanted` items (bool by seq, never changed) the snapshot lacks."""
        known = self._lacks.get(id(wanted))
        if known is None or known[0] is not wanted:  # another mask may have the same id
            known = _kept(self._lacks, id(wanted), (wanted, lacking(self._holds, wanted)))
        return known[1]

    def has_only(self, visible: Marks) -> bool:
        """Return whether the snapshot holds exactly the `visible` items (bool by seq)."""
        known = self._same
        if known is not None and known[0] is visible:
            return known[1]
        same = not lacking(self._holds, visible) and not lacking(visible, self._holds)
        self._same = (visible, same)
        return same

    def search(
        self,
        query: Node,
        filters: Node,
        depth: int,
        order: str = "",
        weights: LexicalWeights = PLAIN,
        allowed: Marks | None = None,
        *,
        counted: bool = True,
    ) -> LexicalHits:
        """Return the `depth` best items by BM25 with `weights`, or the first by a date field
        (`order` "-versioncreated" for newest first), within `filters`. A rare word that no
        `allowed` item (bool by seq) has does not change the bound, so the bound reveals nothing of
        hidden items. Matches beyond the depth are not `counted` if nobody asks how many there are:
        tantivy then leaves out what can't be among the best.
        """
        compiled = self._weighing(weights).scored(query, filters)
        field = order.lstrip("-")
        found = self._searcher.search(
            compiled,
            max(1, depth),
            count=counted,
            order_by_field=field or None,
            order=tantivy.Order.Desc if order.startswith("-") or not field else tantivy.Order.Asc,
        )
        hits = found.hits  # a property that makes a new list each time
        values = np.array([value for value, _ in hits], np.float64)
        ids = np.array(_seqs(self._searcher, hits), np.int64)
        places = _in_order(values, ids, order)
        scores = np.zeros(len(ids), np.float32) if field else values[places].astype(np.float32)
        count = int(found.count or 0) if counted else len(ids)  # type: ignore[attr-defined]
        return LexicalHits(ids[places], scores, count, self._bound(query, weights, allowed))

    def _weighing(self, weights: LexicalWeights) -> Compiler:
        key = _key(weights)
        known = self._compilers.get(key)
        return known or _kept(self._compilers, key, self._compiler.weighing(weights))

    def _bound(self, query: Node, weights: LexicalWeights, allowed: Marks | None) -> Bound:
        key = (id(allowed), *_key(weights))
        known = self._suprema.get(key)
        if known is None or known[0] is not allowed:  # another mask may have the same id
            known = _kept(self._suprema, key, (allowed, self._supremum(weights, allowed)))
        return known[1].of(query)

    def _supremum(self, weights: LexicalWeights, allowed: Marks | None) -> Supremum:
        languages = tuple(dict.fromkeys((*self._main, *self._languages))) or ("en",)
        held = self._held
        if allowed is not None:
            held = TermCounts(partial(self._rare.seen, allowed))
        return Supremum(self._documents, held, languages, self._main, weights)

    def seen_counts(self, allowed: Marks) -> dict[tuple[Word, int], int]:
        """Return in how many `allowed` items (bool by seq, never changed) a word is, counted up to
        a number: as far as the caller of this has kept it here. It holds for this snapshot.
        """
        known = self._seen.get(id(allowed))
        if known is None or known[0] is not allowed:  # another mask may have the same id
            known = _kept(self._seen, id(allowed), (allowed, {}))
        if len(known[1]) >= _MOST_COUNTS:
            known[1].clear()
        return known[1]

    def rarities(self, words: Sequence[str], language: str, allowed: Marks) -> Floats:
        """Return the idf of each word's first term over all fields: float32 [n]. Of
        a term that few items have, only `allowed` items (bool by seq) count; 0 for fewer than two.
        """
        terms = [terms_of(word, language) for word in words]
        held = [
            max(self._rare.allowed(allowed, name, found[0]) for name in EVERY_TEXT) if found else 0
            for found in terms
        ]
        counts = np.array(held, np.float32)
        found = np.log1p((self._documents - counts + 0.5) / (counts + 0.5))
        rare: Floats = np.where(counts > 1, np.maximum(found, 0), 0).astype(np.float32)
        return rare

    def matching(self, node: Node, among: Ids | None = None) -> Ids:
        """Return the ids of all matching items, in no order, for constraints on vectors; only those
        `among` these, if they are given. It takes a third of a microsecond per match.
        """
        compiled = self._compiler.throughout(node)
        if among is not None:
            compiled = self._compiler.among(among.tolist(), compiled)
        return self._ids(compiled)

    def every(self, query: Node, weights: LexicalWeights) -> Ids:
        """Return the ids of all items that a search for `query` finds, in no order."""
        return self._ids(self._weighing(weights).scored(query))

    def having(self, facts: Node) -> Ids:
        """Return the ids of all indexed items with `facts`, in no order."""
        if not self._may_have(facts):
            return np.zeros(0, np.int64)
        return self._ids(self._compiler.required(facts))

    def _may_have(self, facts: Node) -> bool:
        """Return whether an indexed item may have the facts. Looking up a few values takes a tenth
        of the time of a search, and few queries are the value of an item.
        """
        match facts:
            case Keyword(field, values) if len(values) <= _RARE:
                names = keyword_field(field)
                return any(self._searcher.doc_freq(names, one.casefold()) for one in values)
            case Bool((), some, ()):
                return any(map(self._may_have, some))
            case _:
                return True

    def _ids(self, compiled: tantivy.Query) -> Ids:
        limit = max(1, self._documents)
        found = self._searcher.search(compiled, limit, count=False, order_by_field="seq")
        return np.array([seq for seq, _ in found.hits], np.int64)

    def some(self, node: Node, filters: Node, limit: int) -> Ids:
        """Return the ids of at most `limit` items that match within `filters`, in no order."""
        compiled = self._compiler.required(all_of(node, filters))
        found = self._searcher.search(compiled, limit, count=False)
        return np.array(_seqs(self._searcher, found.hits), np.int64)

    def written(self, term: str, filters: Node, limit: int) -> Ids:
        """Return the ids of the `limit` newest items within `filters` that have the unstemmed
        `term` in any text field.
        """
        compiled = self._compiler.written(term, filters)
        found = self._searcher.search(compiled, limit, count=False, order_by_field="seq")
        return np.array([seq for seq, _ in found.hits], np.int64)

    def holds(self, seq: int, node: Node) -> bool:
        """Return whether the item matches."""
        compiled = self._compiler.within(seq, node)
        return bool(self._searcher.search(compiled, 1, count=False).hits)

    def frequency(self, word: str) -> int:
        """Return in how many items of the whole index a word is found, in its commonest reading; a
        lower bound if several kinds of text have the word.
        """
        found = self._compiler.readings(word)
        return max((most_held(self._held, term) for term in found), default=0)

    @property
    def documents(self) -> int:
        """The number of indexed items."""
        return self._documents

    def is_common(self, word: str) -> bool:
        """Return whether the word is a stop word of the archive's main languages."""
        return is_stop_word(word, self._main)

    def words_beginning(self, letters: str, limit: int) -> list[tuple[str, int]]:
        """Return the `limit` commonest unstemmed terms of each text field that begin with
        `letters`, with their document frequencies in the whole index, hidden items included.
        """
        found: list[tuple[str, int]] = []
        for name in TEXT_FIELDS:
            found += self._searcher.terms_with_prefix(unstemmed_field(name), letters, limit=limit)
        return found


def _seqs(searcher: tantivy.Searcher, hits: Hits) -> list[int]:
    addresses = [address for _, address in hits]
    if not addresses:
        return []
    return cast("list[int]", searcher.fast_field_values("seq", addresses))


def _key(weights: LexicalWeights) -> tuple[Any, ...]:
    """Return the weights as a hashable key."""
    fields = tuple(weights.fields.items())
    apart = tuple(weights.apart.items())
    return fields, weights.phrase, weights.proximity, weights.slop, apart


def _kept(known: dict[Key, Kept], key: Key, value: Kept) -> Kept:
    """Keep `value` among at most _MOST_KEPT; return it."""
    if len(known) >= _MOST_KEPT:
        known.clear()
    known[key] = value
    return value


def _in_order(values: npt.NDArray[np.float64], ids: Ids, order: str) -> Ids:
    """Return the places of the hits, best first. Ties go by id, ascending, or descending with the
    newest first, because tantivy's own order changes when segments merge.
    """
    newest, oldest = order.startswith("-"), order and not order.startswith("-")
    places: Ids = np.lexsort((-ids if newest else ids, values if oldest else -values))
    return places
