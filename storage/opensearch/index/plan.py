"""Plans an index: its size, shards, replicas and memory, from measured sizes.

This is arithmetic only and asks no cluster. Every figure comes with its calculation, so that a
reader can check it and repeat it for another archive.

What a search reads should be in memory: postings, columns, graphs and the vectors to compare.
Lucene maps its files, so they lie in the system's page cache; faiss loads graphs outside the heap.
OpenSearch advises shards of 10 to 30 GB for fast searches. With fewer shards there are fewer graphs
to search, and the time to search a graph grows only with the logarithm of its size.

The sizes of an index's parts were measured.

    python -m benchmarks.opensearch.sizes --documents 3000

measured the figures of Lucene on 3,000 items of 774 characters: 842 bytes an item, and 24 bytes a
passage without its vectors. Vectors lie on the disk once, because the mapping leaves out the column
that the k-NN plugin would make of them. int8 keeps them, and searches coarse ones of one byte a
number. Until an index is settled, it also has each vector as it was sent: 12 bytes a number or
more. A hidden version takes HIDDEN_BYTES with one of them per item, and 32 bytes with ten per item
(141 and 61 before the index is settled): the gaps in the items' columns cost only once.

faiss was not measured. Its figures are its makers' estimate (k-NN plugin, "Approximate k-NN
search", memory estimation): 1.1 (4 d + 8 M) bytes a vector, with 2 d instead of 4 d at fp16; and
the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from core.errors import InputError, SettingsError


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes in a settled index, by library and precision: for a `character` of text, for a
    `passage` without its vectors, and for a number of a vector: in its `column`, as searches have
    it (`raw`), and in the smaller copy that searches read instead (`coarse`, 0 for none).
    """

    library: str
    precision: str
    character: float
    passage: float
    column: float
    raw: float
    coarse: float
    how: str


HIDDEN_BYTES = 43.0  # size of the document of a version that is not shown
_LUCENE = "measured"
_FAISS = "by its makers' estimate, not measured"
MEASURED: Sequence[Measured] = (
    Measured("lucene", "fp32", 1.09, 23.5, 0.0, 4.0, 0.0, _LUCENE),
    Measured("lucene", "int8", 1.09, 23.5, 0.0, 4.0, 1.016, _LUCENE),
    Measured("faiss", "fp32", 1.09, 23.5, 4.0, 4.4, 0.0, _FAISS),
    Measured("faiss", "fp16", 1.09, 23.5, 4.0, 2.2, 0.0, _FAISS),
)


def sizes_of(library: str, precision: str) -> Measured:
    """Return the row of a library and precision. Raises SettingsError if there is none."""
    for row in MEASURED:
        if (row.library, row.precision) == (library, precision):
            return row
    known = ", ".join(f"{row.library} {row.precision}" for row in MEASURED)
    what = f"the sizes of {library} {precision} are not known"
    raise SettingsError(what, where="opensearch_precision", mend=f"known are {known}")


def link_bytes(library: str, links: int, vectors: float) -> float:
    """Return the most bytes that one vector's links take in a graph of `vectors`: 2 M links on the
    lowest level. Lucene writes the difference from one neighbour's number to the next, 7 bits a
    byte; faiss takes 8 bytes for each of M, and a tenth more.
    """
    if library == "faiss":
        return 1.1 * 8 * links
    gap = max(1.0, vectors / (2 * links))
    return 2.0 * links * max(1, -(-max(1, int(gap)).bit_length() // 7))


SHARD_BYTES = 20e9  # the middle of the advised range
MOST_DOCUMENTS = 2**31 - 129  # limit of a shard: Lucene's own; each passage is one document
LARGEST_HEAP = 31 * 2**30  # up to here the JVM uses compressed pointers
SMALLEST_HEAP = 2**30
SEGMENT_BYTES = 5e9  # merges make no larger segment on their own
REPLACED = 0.2  # the share of documents that are replaced but not merged away yet
_GIBI = 2**30
_ROUTING = (
    "by hash, not by time: a story's newest version takes the place of the one before by its id, "
    "wherever in time both lie, and a live wire would load one shard with all writes"
)


@dataclass(frozen=True, slots=True)
class Archive:
    """The planned contents of an index: `items` that are shown, each with `characters` of text and
    `passages` on average; each passage has a vector of `width` numbers in each of `fields`. Each
    item also has `hidden` versions that are not shown: replaced, killed, withheld, expired. That
    number can only be guessed; 1 means that each story is corrected once.
    """

    items: int
    characters: float = 2_000.0
    passages: float = 2.0
    width: int = 384
    fields: int = 1
    hidden: float = 1.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """The nodes that hold data, and the memory of each in bytes."""

    nodes: int = 1
    memory: int = 16 * _GIBI


@dataclass(frozen=True, slots=True)
class Graphs:
    """The graph's library and parameters, as in `IndexSettings`, and the width of a search."""

    library: str = "lucene"
    precision: str = "fp32"
    m: int = 32
    ef_construction: int = 200
    ef_search: int = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a plan: its name, its value, and how it was calculated."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings to use; `segments` is the number in a shard after merges. Also the bytes that
    they need, whether each node's memory `fits` its heap and what searches read, and every figure
    with its reason.
    """

    shards: int
    replicas: int
    segments: int
    primary_bytes: float
    memory_of_node: float
    fits: bool
    lines: Sequence[Line] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Bytes of the parts of one copy of a settled index."""

    text: float
    columns: float
    vectors: float
    coarse: float
    links: float
    hidden: float

    @property
    def all(self) -> float:
        vectors = self.columns + self.vectors + self.coarse + self.links
        return self.text + vectors + self.hidden

    @property
    def hot(self) -> float:
        """The bytes that searches read: coarse vectors if there are any, else the others. No search
        reads the documents of hidden versions.
        """
        return self.text + (self.coarse or self.vectors) + self.links


def plan(archive: Archive, hardware: Hardware, graphs: Graphs, replicas: int | None = None) -> Plan:
    """Return what an archive needs on this hardware. Without `replicas` there is one replica on two
    or more nodes. Raises InputError for more copies than nodes, SettingsError as `sizes_of`.
    """
    copies = 1 + (min(1, hardware.nodes - 1) if replicas is None else replicas)
    if copies > hardware.nodes:
        what = f"{copies} copies of a shard need as many nodes, and there are {hardware.nodes}"
        raise InputError(what, where="replicas", mend="add nodes, or keep fewer copies")
    vectors = archive.items * archive.passages * archive.fields
    sizes = _sizes(archive, graphs, vectors)
    primary = sizes.all * (1 + REPLACED)
    documents = (archive.items * (1 + archive.hidden) + vectors) * (1 + REPLACED)
    shards = _shards(primary, documents, hardware.nodes)
    segments = max(1, ceil(primary / shards / SEGMENT_BYTES))
    heap = min(LARGEST_HEAP, max(SMALLEST_HEAP, hardware.memory / 4))
    cache = sizes.hot * (1 + REPLACED) * copies / hardware.nodes
    lines = (
        Line("routing", "hash of the id", _ROUTING),
        Line("shards", f"{shards}", _why_shards(primary, documents, hardware.nodes)),
        Line("replicas", f"{copies - 1}", f"{copies} copies on {hardware.nodes} nodes"),
        *_size_lines(archive, graphs, sizes, vectors),
        Line("one copy", _gb(primary), f"the sum, and {REPLACED:.0%} that wait for a merge"),
        Line("disks", _gb(2 * primary * copies), f"{copies} copies, and as much for a migration"),
        Line("heap of a node", _gb(heap), "a quarter of its memory, from 1 to 31 GiB"),
        Line("searches read", _gb(cache), _why_hot(sizes, copies, hardware.nodes)),
        Line("memory of a node", _gb(heap + cache), f"of {_gb(hardware.memory)} that it has"),
        *_work_lines(graphs, primary / shards, segments),
    )
    fits = heap + cache <= hardware.memory
    return Plan(shards, copies - 1, segments, primary, heap + cache, fits, lines)


def _sizes(archive: Archive, graphs: Graphs, vectors: float) -> _Sizes:
    row = sizes_of(graphs.library, graphs.precision)
    numbers = vectors * archive.width
    return _Sizes(
        archive.items * archive.characters * row.character + vectors * row.passage,
        numbers * row.column,
        numbers * row.raw,
        numbers * row.coarse,
        vectors * link_bytes(graphs.library, graphs.m, vectors),
        archive.items * archive.hidden * HIDDEN_BYTES,
    )


def _shards(primary: float, documents: float, nodes: int) -> int:
    """Return the fewest shards that hold the index; several are a multiple of the nodes."""
    least = max(ceil(primary / SHARD_BYTES), ceil(documents / MOST_DOCUMENTS), 1)
    return least if least == 1 else nodes * ceil(least / nodes)


def _why_shards(primary: float, documents: float, nodes: int) -> str:
    return (
        f"{_gb(primary)} / {_gb(SHARD_BYTES)} a shard, {documents:,.0f} documents of Lucene's "
        f"{MOST_DOCUMENTS:,}, as many for each of {nodes} nodes; one where one holds it"
    )


def _why_hot(sizes: _Sizes, copies: int, nodes: int) -> str:
    vectors = "coarse vectors" if sizes.coarse else "vectors"
    return f"text, {vectors} and links of {copies} copies, on {nodes} nodes: in the page cache"


def _size_lines(archive: Archive, graphs: Graphs, sizes: _Sizes, vectors: float) -> list[Line]:
    row = sizes_of(graphs.library, graphs.precision)
    text = (
        f"{archive.items:,} items x {archive.characters:,.0f} characters x {row.character:g} "
        f"+ {vectors:,.0f} passages x {row.passage:g}"
    )
    numbers = f"{vectors:,.0f} x {archive.width} numbers"
    links = link_bytes(graphs.library, graphs.m, vectors)
    coarse = Line("coarse vectors", _gb(sizes.coarse), f"{numbers} x {row.coarse:g}, {row.how}")
    column = Line("vectors in columns", _gb(sizes.columns), f"{numbers} x {row.column:g}")
    return [
        Line("text", _gb(sizes.text), text),
        Line("vectors", _gb(sizes.vectors), f"{numbers} x {row.raw:g}, {row.how}"),
        *([coarse] if sizes.coarse else []),
        *([column] if sizes.columns else []),
        Line("links", _gb(sizes.links), f"{vectors:,.0f} x at most {links:g} at m {graphs.m}"),
        Line("hidden versions", _gb(sizes.hidden), _why_hidden(archive)),
    ]


def _why_hidden(archive: Archive) -> str:
    return (
        f"{archive.items:,} x {archive.hidden:g} x {HIDDEN_BYTES:g}: of each its number is kept, "
        "against writes that come late, for as long as the index is there"
    )


def _work_lines(graphs: Graphs, shard: float, segments: int) -> list[Line]:
    return [
        Line("ef_construction", f"{graphs.ef_construction}", "a better graph for a slower build"),
        Line(
            "ef_search", f"{graphs.ef_search}", "in each segment; a search's depth if that is more"
        ),
        Line("refresh", "30 s", "a search that has to see a write asks for a refresh itself"),
        Line(
            "merge",
            f"{segments} segments a shard",
            f"`dateline index settle` after a backfill: {_gb(shard)} by {_gb(SEGMENT_BYTES)} at "
            "most; each segment has a graph that every search goes through",
        ),
    ]


def _gb(count: float) -> str:
    return f"{count / 1e9:,.2f} GB"
