"""The ports: what each room asks of the others. One or two methods, the batch as the unit.

Only dateline/build.py knows which class stands behind a port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.callers import Caller
from core.entities import Entity, KnownName
from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.reading import Reading
from core.retrieval import FacetCount, Floats, Ids, Marks, Retrieval, Retrieved
from core.writes import PutItem, SetStatus, Written


class Clock(Protocol):
    """Tells the time, aware and in UTC; tests bring their own."""

    def __call__(self) -> datetime: ...


class TextEncoder(Protocol):
    """Turns texts into unit vectors of one space."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """sha256 over the model's files: says which space a vector lives in."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm."""
        ...


class Tagger(Protocol):
    """Finds people, organisations, places and other names."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]: ...


class PairScorer(Protocol):
    """Scores (query, passage) pairs; higher is more relevant."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """float32 [n, 1] for the n pairs (queries[i], passages[i])."""
        ...


class TextMeter(Protocol):
    """Counts and cuts texts by a model's own tokens, without running the model."""

    def measure(self, texts: Sequence[str], *, queries: bool = False) -> tuple[Reading, ...]:
        """What the model reads of each text alone, as a query or as a passage."""
        ...

    def measure_pairs(
        self, query: str, passages: Sequence[str], *, limit: int | None = None
    ) -> tuple[Reading, ...]:
        """What the model reads of each passage with `query`, where it is put to `limit` tokens."""
        ...

    def cut(self, texts: Sequence[str], limit: int) -> tuple[str, ...]:
        """Each text up to the end of its token number `limit`, special ones not counted."""
        ...


class TextAnalysis(Protocol):
    """The engine's view of a text as index terms, for highlights and spelling."""

    def terms(self, text: str, language: str) -> tuple[str, ...]: ...

    def is_stop_word(self, word: str, language: str) -> bool:
        """Whether the word is too common in the language to rank by."""
        ...


class Embedder(Protocol):
    """Cuts items into passages and embeds them, one entry per vector field."""

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]: ...


class Writer(Protocol):
    """The one write path to the record of truth."""

    def put(self, writes: Sequence[PutItem]) -> tuple[Written, ...]:
        """All of `writes` in one transaction; durable when it returns."""
        ...

    def set_status(self, changes: Sequence[SetStatus]) -> tuple[Written, ...]: ...

    def unknown(self, items: Sequence[Item]) -> tuple[bool, ...]:
        """For each item, whether putting it would change anything: asked before costly work."""
        ...


class Retriever(Protocol):
    """Finds candidates for a query: BM25 and vectors, the same filters inside both."""

    def retrieve(self, request: Retrieval) -> Retrieved: ...

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Those of `ids` that the record of truth lets `caller` see at this moment, in order."""
        ...


class Catalogue(Protocol):
    """Facts and contents of candidates; what is hidden is None or not counted."""

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]: ...

    def facets(
        self, ids: Ids, fields: Sequence[str], limit: int
    ) -> Mapping[str, tuple[FacetCount, ...]]: ...

    def chains(self, ids: Ids) -> Ids:
        """A number per candidate; equal numbers are one story."""
        ...

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """How many versions and write-throughs each candidate's chain view shows the caller."""
        ...

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """Where passage `numbers[i]` of item `ids[i]` lies; None where there is none."""
        ...


class Names(Protocol):
    """The names that the archive knows: its items' persons, organisations and places."""

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """The name that each entity stands for, None where there is none or no telling which. Only
        what `caller` may see at this moment counts: a name that stands nowhere else is unknown,
        and makes no other name doubtful.
        """
        ...

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Which candidates have which name in its field: bool [len(ids), len(names)]."""
        ...


class Library(Protocol):
    """Single items and their stories, by uri."""

    def item(self, uri: str, caller: Caller) -> Item | None: ...

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """Every recorded version of the item's story that the caller may see, newest first; empty
        where the story's head is hidden. Killed items are not in it.
        """
        ...


class NearestRows(Protocol):
    """Finds the nearest among stored unit vectors; similarity is the cosine."""

    def search(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """The `k` nearest allowed rows of `query` [1, d] as it is served: cosines float32 and rows
        int64, best first, at most k long. `allowed` is bool [n], None for all. `ef` is the width of
        the search, None for the setting's. Few rows, or few allowed ones, are scanned.
        """
        ...

    def walk(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """As `search`, but by the graph alone, however few rows are allowed."""
        ...

    def search_many(
        self, queries: FloatMatrix, k: int, ef: int | None = None, threads: int = 1
    ) -> tuple[FloatMatrix, Ids]:
        """By the graph alone, for queries [q, d]: cosines float32 and rows int64 [q, min(k, n)],
        best first; a row of -1 and a cosine of -inf where fewer were found.
        """
        ...


class KeptVectors(Protocol):
    """The vectors behind a graph, to the precision of the record of truth (float16)."""

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """The cosine of `query` [1, d] with each of `rows` [r]: float32 [r]."""
        ...

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """float32 [r, d], all of them without `rows`."""
        ...


class VectorGraph(NearestRows, KeptVectors, Protocol):
    """A graph over unit vectors [n, d]: built once, then only read, by any number of threads."""

    @property
    def count(self) -> int:
        """How many rows it has, n."""
        ...

    @property
    def bytes(self) -> int:
        """Memory of its links and of those vectors that are not on disk."""
        ...

    def save(self, folder: Path) -> None:
        """Writes its files into an existing folder; what may be read from there leaves memory."""
        ...


class GraphBuilder(Protocol):
    """Makes graphs of one implementation, precision and build parameters."""

    @property
    def kind(self) -> str:
        """Implementation and precision, such as `faiss:fp32`."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that `save` writes, the graph first."""
        ...

    def build(self, vectors: FloatMatrix, threads: int) -> VectorGraph:
        """A graph over unit `vectors` float32 [n, d], n > 0, on `threads` threads."""
        ...

    def load(self, folder: Path) -> VectorGraph:
        """Opens what `save` wrote. The caller has verified the files' checksums: a damaged file may
        end the process. Raises OSError, RuntimeError or ValueError.
        """
        ...


class Exporter(Protocol):
    """Reads the whole record, for backups and rebuilds."""

    def all_items(self) -> Iterator[Item]: ...


class Engine(Writer, Retriever, Catalogue, Names, Library, Protocol):
    """A storage engine: everything above behind one object, and an end."""

    def close(self) -> None: ...
