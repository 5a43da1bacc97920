"""Builders of graphs, by library and precision of the vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from core.errors import SettingsError
from core.items import FloatMatrix
from core.ports.graphs import GraphBuilder
from storage.graphs.graph import HnswGraph
from storage.graphs.kept import HALVES, HalfRows, Kept, WholeRows
from storage.graphs.settings import HnswSettings, Implementation, Precision

if TYPE_CHECKING:
    from storage.graphs.faiss_gpu import CardLinks
    from storage.graphs.faiss_hnsw import FaissLinks

FAISS_FILE = "graph.faiss"
FIRST_KIND = "faiss:fp32"  # the kind of old segments that name none


class FaissBuilder:
    """`core.ports.graphs.GraphBuilder` with faiss, for every precision. It imports faiss with the
    first graph: a small archive has none, and a search from the shell should not wait for faiss.
    """

    def __init__(self, settings: HnswSettings) -> None:
        self._settings = settings
        self._in_place = settings.precision in ("fp32", "fp16")
        self.kind = settings.kind
        self.files: tuple[str, ...] = (FAISS_FILE,)
        if not self._in_place:
            self.files = (FAISS_FILE, HALVES)

    def build(self, vectors: FloatMatrix, threads: int) -> HnswGraph:
        """Build a graph over `vectors`, float32 [n, d]."""
        from storage.graphs.faiss_hnsw import FaissLinks

        if self._settings.precision == "fp32":
            return self._graph(FaissLinks.build(vectors, self._settings, threads), None)
        halves = HalfRows.of(vectors)
        links = FaissLinks.build(halves.vectors(), self._settings, threads)
        return self._graph(links, None if self._in_place else halves)

    def load(self, folder: Path) -> HnswGraph:
        """Open a saved graph."""
        from storage.graphs.faiss_hnsw import FaissLinks

        links = FaissLinks.load(folder / FAISS_FILE, self._settings.precision)
        return self._graph(links, None if self._in_place else HalfRows.load(folder))

    def _graph(self, links: FaissLinks, beside: HalfRows | None) -> HnswGraph:
        kept: Kept
        if beside is not None:
            kept = beside
        elif self._settings.precision == "fp32":
            kept = WholeRows(links.whole(), links)
        else:
            kept = HalfRows(links.halves(), links)
        return HnswGraph(links, kept, FAISS_FILE, self._settings)


class ListsBuilder:
    """`core.ports.graphs.GraphBuilder` with faiss's inverted lists, only in pq.

    Raises SettingsError if another precision is asked for.
    """

    def __init__(self, settings: HnswSettings) -> None:
        _only("pq", settings, "inverted lists have")
        self._settings = settings
        self.kind = settings.kind
        self.files: tuple[str, ...] = (FAISS_FILE, HALVES)

    def build(self, vectors: FloatMatrix, threads: int) -> HnswGraph:
        """Put `vectors`, float32 [n, d], into lists."""
        from storage.graphs.faiss_ivf import InvertedLists

        links = InvertedLists.build(vectors, threads)
        return HnswGraph(links, HalfRows.of(vectors), FAISS_FILE, self._settings)

    def load(self, folder: Path) -> HnswGraph:
        """Open the lists that `save` wrote."""
        from storage.graphs.faiss_ivf import InvertedLists

        links = InvertedLists.load(folder / FAISS_FILE)
        return HnswGraph(links, HalfRows.load(folder), FAISS_FILE, self._settings)


class HnswlibBuilder:
    """`core.ports.graphs.GraphBuilder` with hnswlib, which has only fp32. hnswlib's vectors can't
    be read in place, so they are also kept beside the graph, in the record's precision.

    Raises SettingsError if hnswlib is not installed or another precision is asked for.
    """

    def __init__(self, settings: HnswSettings) -> None:
        _only("fp32", settings, "hnswlib has")
        if not is_installed("hnswlib"):
            raise SettingsError(
                "hnswlib is not installed",
                where="hnsw_implementation",
                mend="pip install 'dateline-search[hnswlib]', or take faiss",
            )
        from storage.graphs import hnswlib_hnsw

        self._settings = settings
        self._library = hnswlib_hnsw
        self.kind = settings.kind
        self.files: tuple[str, ...] = (hnswlib_hnsw.FILE, HALVES)

    def build(self, vectors: FloatMatrix, threads: int) -> HnswGraph:
        """Build a graph over `vectors`, float32 [n, d]."""
        halves = HalfRows.of(vectors)
        links = self._library.HnswlibLinks.build(halves.vectors(), self._settings, threads)
        return HnswGraph(links, halves, self._library.FILE, self._settings)

    def load(self, folder: Path) -> HnswGraph:
        """Open a saved graph."""
        halves = HalfRows.load(folder)
        links = self._library.HnswlibLinks.load(folder / self._library.FILE, halves.shape)
        return HnswGraph(links, halves, self._library.FILE, self._settings)


class CardBuilder:
    """`core.ports.graphs.GraphBuilder` with every vector on an NVIDIA card, only in fp32.

    Raises SettingsError if no card can be used or another precision is asked for.
    """

    def __init__(self, settings: HnswSettings) -> None:
        _only("fp32", settings, "a card has")
        from storage.graphs import faiss_gpu

        if why := faiss_gpu.problem():
            raise SettingsError(
                f"faiss can't use an NVIDIA card here: {why}",
                where="hnsw_implementation",
                mend="install faiss-gpu in place of faiss-cpu (extra [gpu]), or take faiss",
            )
        self._settings = settings
        self._links = faiss_gpu.CardLinks
        self.kind = settings.kind
        self.files: tuple[str, ...] = (FAISS_FILE,)

    def build(self, vectors: FloatMatrix, threads: int) -> HnswGraph:
        """Put `vectors`, float32 [n, d], on the card."""
        return self._graph(self._links.build(vectors))

    def load(self, folder: Path) -> HnswGraph:
        """Open saved vectors, and put them on the card."""
        return self._graph(self._links.load(folder / FAISS_FILE))

    def _graph(self, links: CardLinks) -> HnswGraph:
        return HnswGraph(links, WholeRows(links.whole(), links), FAISS_FILE, self._settings)


def _only(precision: Precision, settings: HnswSettings, who: str) -> None:
    """Raise SettingsError for another precision than the one that `who` has."""
    if settings.precision != precision:
        raise SettingsError(
            f"{who} no {settings.precision} vectors",
            where="hnsw_precision",
            mend=f"take {precision}, or hnsw_implementation = faiss",
        )


_BUILDERS: dict[Implementation, Callable[[HnswSettings], GraphBuilder]] = {
    "faiss": FaissBuilder,
    "hnswlib": HnswlibBuilder,
    "faiss-gpu": CardBuilder,
    "faiss-ivf": ListsBuilder,
}


def builder_of(settings: HnswSettings) -> GraphBuilder:
    """Return the builder for these settings. Raises SettingsError if it can't run here."""
    return _BUILDERS[settings.implementation](settings)


def builder_of_kind(kind: str, settings: HnswSettings) -> GraphBuilder:
    """Return the builder that reads graphs of `kind`, with the other parameters of `settings`.
    Raises SettingsError if there is no such kind or it can't run here.
    """
    if kind == settings.kind:
        return builder_of(settings)
    for implementation in _BUILDERS:
        for precision in get_args(Precision):
            other = replace(settings, implementation=implementation, precision=precision, rescore=0)
            if other.kind == kind:
                return builder_of(other)
    raise SettingsError(f"there is no graph of kind {kind!r}", mend="`dateline rebuild`")


def is_installed(library: str) -> bool:
    """Return whether a library can be imported here."""
    return find_spec(library) is not None
