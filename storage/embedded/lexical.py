"""BM25 over whole items by tantivy: a projection that holds exactly the visible versions.

k1 1.2 and b .75, Lucene's defaults and the values that tantivy's binding has. Each item is one
document: `all` (headline, description, body and names together), each of them apart for
`field:word`, their words unstemmed for `begin*`, keywords and dates for filters, and `seq`. Bare
words are scored in `all` plus a small share of the headline's own score; that beat field-by-field
sums on the judged sets (see docs/ranking.md). Other weights are a profile's to choose. Machines'
words for pictures and shots are in `machine`, apart from `all` (`machine_words.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tantivy

from core.errors import CorruptError
from core.items import Item
from core.query_tree import MACHINE, TEXT_FIELDS, Node, all_of
from core.retrieval import Floats, Ids, LexicalWeights, Marks
from storage.analysis import analyzer
from storage.embedded.integrity import META, seal_lexical, sweep_lexical, verify_lexical
from storage.embedded.lexical_fields import build_schema, document_of
from storage.embedded.lexical_query import Compiler
from storage.item_fields import unstemmed_field
from storage.lexical_bound import Supremum
from storage.machine_words import MachineWords
from storage.query_words import PLAIN
from storage.stop_words import is_stop_word, main_languages

_HEAP_BYTES = 48_000_000
_RARE = 32  # items; so few are looked at one by one


@dataclass(frozen=True, slots=True)
class LexicalHits:
    """The best matches in order: ids int64 [n], BM25 float32 [n], how many match in all, and what
    an item with every word, and all that the weights add, could score at most.
    """

    ids: Ids
    scores: Floats
    matches: int
    bound: float = 0.0


class LexicalReader:
    """One snapshot of the index for searching; cheap to make."""

    def __init__(self, index: tantivy.Index, languages: Mapping[str, int]) -> None:
        self._searcher = index.searcher()
        self._schema = index.schema
        self._main = main_languages(dict(languages))
        self._languages = tuple(sorted(languages))
        machine = MachineWords(self._searcher.num_docs, self._searcher.doc_freq)
        self._compiler = Compiler(index.schema, self._languages, self._main, PLAIN, machine)

    def search(
        self,
        query: Node,
        filters: Node,
        depth: int,
        order: str = "",
        weights: LexicalWeights = PLAIN,
        allowed: Marks | None = None,
    ) -> LexicalHits:
        """The `depth` best items by BM25 with `weights`, or the first by a date field (`order`
        "-versioncreated" for newest first), within `filters`. The bound does not tell of a rare
        word that none of the `allowed` items (bool by seq) has.
        """
        compiled = self._compiler.weighing(weights).scored(query, filters)
        field = order.lstrip("-")
        found = self._searcher.search(
            compiled,
            max(1, depth),
            count=True,
            order_by_field=field or None,
            order=tantivy.Order.Desc if order.startswith("-") or not field else tantivy.Order.Asc,
        )
        values = np.array([value for value, _ in found.hits], np.float64)
        ids = self._ids(found)
        places = _in_order(values, ids, order)
        scores = np.zeros(len(ids), np.float32) if field else values[places].astype(np.float32)
        count = int(found.count or 0)  # type: ignore[attr-defined]  # its stub lacks it
        return LexicalHits(ids[places], scores, count, self._bound(query, weights, allowed))

    def _bound(self, query: Node, weights: LexicalWeights, allowed: Marks | None) -> float:
        languages = tuple(dict.fromkeys((*self._main, *self._languages))) or ("en",)
        held = self._searcher.doc_freq if allowed is None else partial(self._held, allowed)
        documents = self._searcher.num_docs
        return Supremum(documents, held, languages, self._main, weights).of(query)

    def _held(self, allowed: Marks, field: str, term: str) -> int:
        """How many items have the term; 0 where they are few and none of them is allowed."""
        count = int(self._searcher.doc_freq(field, term))
        return count if count > _RARE or self._allowed(allowed, field, term) else 0

    def _allowed(self, allowed: Marks, field: str, term: str) -> int:
        """How many items have the term, where they are few how many of those that are allowed."""
        count = int(self._searcher.doc_freq(field, term))
        if not 0 < count <= _RARE:
            return count
        query = tantivy.Query.term_query(self._schema, field, term)
        ids = self._ids(self._searcher.search(query, count, count=False))
        return int(np.count_nonzero(allowed[ids[ids < len(allowed)]]))

    def _ids(self, found: tantivy.SearchResult) -> Ids:
        """Of what was found, in its order."""
        addresses = [address for _, address in found.hits]
        seqs = self._searcher.fast_field_values("seq", addresses) if addresses else []
        return np.array(seqs, np.int64)

    def rarities(self, words: Sequence[str], language: str, allowed: Marks) -> Floats:
        """See `core.ports.Exemplars`; a word is its first term in any field, a machine's too. The
        caller may see the items that are `allowed` (bool by seq).
        """
        analyze = analyzer(language).analyze
        terms = [analyze(word) for word in words]
        held = [
            max(self._allowed(allowed, name, found[0]) for name in ("all", MACHINE)) if found else 0
            for found in terms
        ]
        counts = np.array(held, np.float32)
        found = np.log1p((self._searcher.num_docs - counts + 0.5) / (counts + 0.5))
        rare: Floats = np.where(counts > 1, np.maximum(found, 0), 0).astype(np.float32)
        return rare

    def matching(self, node: Node) -> Ids:
        """The ids of every item that matches, in no order: for constraints on vectors."""
        compiled = self._compiler.required(node)
        limit = max(1, self._searcher.num_docs)
        found = self._searcher.search(compiled, limit, count=False, order_by_field="seq")
        return np.array([seq for seq, _ in found.hits], np.int64)

    def some(self, node: Node, filters: Node, limit: int) -> Ids:
        """The ids of at most `limit` items that match within `filters`, in no order."""
        compiled = self._compiler.required(all_of(node, filters))
        found = self._searcher.search(compiled, limit, count=False)
        return self._ids(found)

    def written(self, term: str, filters: Node, limit: int) -> Ids:
        """The ids of at most `limit` items within `filters` that have the unstemmed `term` in any
        text field, the newest written.
        """
        compiled = self._compiler.written(term, filters)
        found = self._searcher.search(compiled, limit, count=False, order_by_field="seq")
        return np.array([seq for seq, _ in found.hits], np.int64)

    def holds(self, seq: int, node: Node) -> bool:
        """Whether the item matches."""
        compiled = self._compiler.within(seq, node)
        return bool(self._searcher.search(compiled, 1, count=False).hits)

    def frequency(self, word: str) -> int:
        """In at least how many items of the whole index a word is found, in its commonest reading;
        exactly so many where no machine says it.
        """
        return max(map(self._held_in_any, self._compiler.readings(word)), default=0)

    def _held_in_any(self, term: str) -> int:
        """In how many items a term is, of the agency's text or of machines', whichever are more."""
        return max(int(self._searcher.doc_freq(name, term)) for name in ("all", MACHINE))

    @property
    def documents(self) -> int:
        """How many items are indexed."""
        return int(self._searcher.num_docs)

    def is_common(self, word: str) -> bool:
        """Whether it is a stop word of the archive's main languages."""
        return is_stop_word(word, self._main)

    def words_beginning(self, letters: str, limit: int) -> list[tuple[str, int]]:
        """The `limit` commonest unstemmed terms of each text field that begin with `letters`, with
        their document frequencies: of the whole index, whoever may see it.
        """
        found: list[tuple[str, int]] = []
        for name in TEXT_FIELDS:
            found += self._searcher.terms_with_prefix(unstemmed_field(name), letters, limit=limit)
        return found


class LexicalIndex:
    """The tantivy index in `folder`. One process writes; any may read.

    Raises CorruptError when a file does not match its checksum; nothing of it was opened then.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        if writable:
            folder.mkdir(parents=True, exist_ok=True)
        self.on_disk = writable or (folder / META).exists()
        if (folder / META).exists():
            self._index = _open_verified(folder)
            if writable:
                sweep_lexical(folder)
        elif writable:
            self._index = tantivy.Index(build_schema(), path=str(folder))
        else:
            self._index = tantivy.Index(build_schema())
        self._index.config_reader(reload_policy="manual")
        self._writer = self._index.writer(_HEAP_BYTES, 1) if writable else None

    @staticmethod
    def destroy(folder: Path) -> None:
        """Removes the index's files, for a rebuild."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(folder.name + ".sha256").unlink(missing_ok=True)

    def reader(self, languages: Mapping[str, int]) -> LexicalReader:
        """A snapshot of the last commit that was loaded. `languages` are those of the archive, with
        their numbers of items.
        """
        return LexicalReader(self._index, languages)

    def reload(self) -> None:
        """Makes the newest commit, this process's or another's, the one that readers see."""
        self._index.reload()

    def ids(self) -> Ids:
        """The seq of every indexed document."""
        searcher = self._index.searcher()
        if not searcher.num_docs:
            return np.zeros(0, np.int64)
        every = tantivy.Query.all_query()
        hits = searcher.search(every, searcher.num_docs, count=False, order_by_field="seq").hits
        return np.array([seq for seq, _ in hits], np.int64)

    def update(self, remove: Iterable[int], add: Iterable[tuple[int, Item]]) -> None:
        """Removes and adds documents, commits, and makes the commit visible here."""
        if self._writer is None:
            raise RuntimeError("this process does not own the projections")
        for seq in remove:
            self._writer.delete_documents_by_term("seq", int(seq))
        for seq, item in add:
            self._writer.add_document(document_of(seq, item))
        self._writer.commit()
        self._index.reload()
        seal_lexical(self.folder)

    def close(self) -> None:
        """Waits for merges and seals the index; nothing can be written afterwards."""
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None
            seal_lexical(self.folder)


def _in_order(values: npt.NDArray[np.float64], ids: Ids, order: str) -> Ids:
    """Places of the hits, best first. Equal ones go by id, the first recorded first (the last where
    the newest are first): tantivy's own order changes when segments merge.
    """
    newest, oldest = order.startswith("-"), order and not order.startswith("-")
    places: Ids = np.lexsort((-ids if newest else ids, values if oldest else -values))
    return places


def _open_verified(folder: Path) -> tantivy.Index:
    """Opens an index whose checksums match. Where its owner commits meanwhile, files that were just
    read about may be gone: then it is looked at anew.
    """
    while True:
        before = (folder / META).read_bytes()
        try:
            verify_lexical(folder)
            try:
                index = tantivy.Index.open(str(folder))
            except (ValueError, OSError) as error:
                raise CorruptError(
                    f"the lexical index can't be opened: {error}",
                    where=str(folder),
                    mend="`dateline rebuild` makes it anew",
                ) from error
            _check_schema(index, folder)
        except CorruptError:
            if (folder / META).read_bytes() == before:
                raise
        else:
            return index


def _check_schema(index: tantivy.Index, folder: Path) -> None:
    if index.schema != build_schema():
        raise CorruptError(
            "the lexical index was made for other fields",
            where=str(folder),
            mend="`dateline rebuild` makes it anew",
        )
