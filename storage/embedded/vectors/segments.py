"""A vector field's passages: sealed HNSW segments on disk and an exactly scanned tail in memory.

New passages go to the tail and are found at once. A tail that is long enough is sealed into a
segment. Many segments, or segments with many dead rows, are merged. Segments never change: the
manifest names the valid ones, with the sha256 of every file, and is replaced as a whole. Hidden and
superseded passages stay in their segment until it is merged; the bitmap of visible versions keeps
them out of every answer.

The builder of the kind that wrote a segment reads it, even if the settings name another kind now;
new segments are of the kind in the settings. A segment that nothing here can read is left out, and
its passages come from the record again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import orjson

from core.errors import CorruptError, SettingsError
from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from core.retrieval import Floats, Ids, Ints
from storage.embedded.integrity import sealed, sha256_of, sync_folder, write_durably
from storage.embedded.vectors.growing import GrowingArray
from storage.embedded.vectors.vector_view import Block, FieldView, Segment, sorted_block
from storage.graphs.builders import FIRST_KIND, builder_of, builder_of_kind
from storage.graphs.settings import HnswSettings

MANIFEST = "manifest.json"
ROWS = "rows.npy"


def entry_of(segment: Segment) -> dict[str, Any]:
    """Return a segment's entry in the manifest."""
    graph, *beside = (file for file in segment.digests if file != ROWS)
    return {
        "name": segment.name,
        "rows": len(segment.seqs),
        "kind": segment.kind,
        "graph": segment.digests[graph],
        "ids": segment.digests[ROWS],
        "beside": {file: segment.digests[file] for file in beside},
        "total": [float(value) for value in segment.total],
    }


def digests_of(entry: dict[str, Any], files: Sequence[str]) -> dict[str, str]:
    """Return the sha256 by file, of `files` and the rows; "" if the manifest has none."""
    graph, *rest = files
    beside = {file: str(dict(entry.get("beside", {})).get(file, "")) for file in rest}
    return {graph: str(entry["graph"]), **beside, ROWS: str(entry["ids"])}


def read_manifest(path: Path, data: bytes, encoder: str) -> list[dict[str, Any]]:
    """Return the manifest's segments; none if it is of another encoder."""
    if not data:
        return []
    try:
        manifest = orjson.loads(data)
        entries: list[dict[str, Any]] = list(manifest["segments"])
        same = manifest["encoder"] == encoder
        names = [(entry["name"], entry["graph"], entry["ids"]) for entry in entries]
        _ = [dict(entry.get("beside", {})) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise corrupt(path, f"unreadable: {error}") from error
    if any("/" in str(name) or str(name).startswith(".") for name, _, _ in names):
        raise corrupt(path, "a segment's name is not a name")
    return entries if same else []


def corrupt(path: Path, what: str) -> CorruptError:
    """Return the error for a file that has changed since it was written."""
    return CorruptError(what, where=str(path), mend="`dateline rebuild` makes it anew")


_NO_ROWS = Block(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros((0, 1), np.float32))


class Tail:
    """Rows in the order in which they came. It changes under the field's lock. Results of `rows`
    and `block` never change, even if rows are added or dropped later.
    """

    def __init__(self) -> None:
        self._vectors: GrowingArray[np.float32] | None = None
        self._seqs: GrowingArray[np.int64] = GrowingArray(np.int64)
        self._numbers: GrowingArray[np.int32] = GrowingArray(np.int32)
        self.total: Floats = np.zeros(1, np.float32)  # the sum of the vectors, [d]

    @property
    def size(self) -> int:
        """The number of passages."""
        return self._seqs.size

    @property
    def seqs(self) -> Ids:
        """The item of each row."""
        return self._seqs.view()

    def append(self, seqs: Ids, numbers: Ints, vectors: FloatMatrix) -> None:
        """Add rows: items [n], passage numbers [n] and vectors float32 [n, d]."""
        if not len(seqs):
            return
        if self._vectors is None:
            self._vectors = GrowingArray(np.float32, vectors.shape[1])
        self._vectors.append(vectors)
        self._numbers.append(numbers)
        self._seqs.append(seqs)
        self.total = self.total + vectors.sum(axis=0)

    def rows(self, first: int) -> Block:
        """Return the `first` rows, in the order in which they came."""
        if self._vectors is None or not first:
            return _NO_ROWS
        return Block(
            self._seqs.view()[:first], self._numbers.view()[:first], self._vectors.view()[:first]
        )

    def block(self) -> Block:
        """Return all rows, in the order of their items."""
        rows = self.rows(self.size)
        return sorted_block(rows.seqs, rows.numbers, rows.vectors)

    def only(self, kept: Ids) -> Tail:
        """Return a tail of these rows only."""
        rows = self.rows(self.size)
        fresh = Tail()
        fresh.append(rows.seqs[kept], rows.numbers[kept], rows.vectors[kept])
        return fresh


Mask = npt.NDArray[np.bool_]
log = logging.getLogger(__name__)
Part: TypeAlias = tuple[Segment | Block, Ids]  # rows of a segment or a tail
_PIECE = 8192  # rows that are copied at once
_NONE = np.zeros(0, np.int64)
_NOTHING = np.zeros(0, np.bool_)


class VectorField:
    """The segments and the tail of one vector field, in `folder`.

    Raises CorruptError if a file does not match the manifest, before native code opens it, and
    SettingsError if no graph can be built with the settings.
    """

    def __init__(self, folder: Path, encoder: str, settings: HnswSettings) -> None:
        self.folder = folder
        self._encoder = encoder
        self._settings = settings
        self._builder = builder_of(settings)
        self._tail = Tail()
        self._segments: tuple[Segment, ...] = ()
        self._manifest = ""
        self._lock = Lock()  # segments, tail and view change together
        self._view: FieldView | None = None
        self.load()

    def load(self, live: Mask = _NOTHING) -> bool:
        """Open the segments that the manifest names; return whether the manifest has changed.
        `live` items (bool by seq) that these segments lack stay searchable.
        """
        while True:
            data = self._manifest_bytes()
            if data.decode(errors="replace") == self._manifest:
                return False
            try:
                segments = self._open_all(data)
            except CorruptError:
                if self._manifest_bytes() == data:
                    raise  # the owner did not replace the segments meanwhile
            else:
                break
        self._install(segments, 0, live)
        self._manifest = data.decode()
        return True

    def sweep(self) -> None:
        """Remove segments that a crash left and no manifest names. Only for the owner."""
        kept = {segment.name for segment in self._segments}
        for path in self.folder.glob("*/"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _manifest_bytes(self) -> bytes:
        path = self.folder / MANIFEST
        return path.read_bytes() if path.exists() else b""

    def _open_all(self, data: bytes) -> tuple[Segment, ...]:
        entries = read_manifest(self.folder / MANIFEST, data, self._encoder)
        known = {segment.name: segment for segment in self._segments}
        found = (known.get(entry["name"]) or self._open(entry) for entry in entries)
        return tuple(segment for segment in found if segment is not None)

    @staticmethod
    def destroy(folder: Path) -> None:
        """Remove a field's files, for a rebuild."""
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def tail_size(self) -> int:
        """The number of passages that no segment holds yet."""
        return self._tail.size

    @property
    def segment_sizes(self) -> tuple[int, ...]:
        """The number of rows of each segment."""
        return tuple(len(segment.seqs) for segment in self._segments)

    def segment_ids(self) -> Ids:
        """Return which item each row of the segments belongs to."""
        parts = [segment.seqs for segment in self._segments]
        return np.concatenate(parts) if parts else _NONE

    def tail_ids(self) -> Ids:
        """Return which item each row of the tail belongs to."""
        return self._tail.seqs

    def append(self, rows: Iterable[tuple[int, FloatMatrix]]) -> None:
        """Add items' passages (seq, float32 [n, d]) to the tail."""
        found = [(seq, vectors) for seq, vectors in rows if len(vectors)]
        if not found:
            return
        counts = [len(vectors) for _, vectors in found]
        seqs = np.repeat(np.array([seq for seq, _ in found], np.int64), counts)
        numbers = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        with self._lock:
            self._view = None
            self._tail.append(seqs, numbers, np.concatenate([vectors for _, vectors in found]))

    def view(self) -> FieldView:
        """Return the field as it is now. Its tail may have rows that are not visible yet."""
        view = self._view
        if view is None:
            with self._lock:
                view = self._view = self._make_view()
        return view

    def _make_view(self) -> FieldView:
        total = self._tail.total
        for segment in self._segments:
            total = total + segment.total
        count = self._tail.size + sum(self.segment_sizes)
        return FieldView(self._segments, self._tail.block(), total, count)

    def seal(self, size: int, threads: int, live: Mask) -> Segment | None:
        """Build and write a segment of the live rows (bool by seq) among the tail's first `size`;
        `adopt` installs it. Searches and appends go on meanwhile.
        """
        rows = self._tail.rows(size)
        return self._write([(rows, np.flatnonzero(live[rows.seqs]))], threads)

    def merge(self, segments: Sequence[Segment], threads: int, live: Mask) -> Segment | None:
        """Build and write one segment of the live rows of `segments`."""
        return self._write([(s, np.flatnonzero(live[s.seqs])) for s in segments], threads)

    def adopt(
        self, fresh: Segment | None, dropped: Sequence[Segment], tail_rows: int, live: Mask
    ) -> None:
        """Replace `dropped` and the tail's first rows by `fresh` in the manifest. Items that became
        `live` (bool by seq) during the build stay searchable.
        """
        gone = {segment.name for segment in dropped}
        kept = tuple(segment for segment in self._segments if segment.name not in gone)
        segments = kept if fresh is None else (*kept, fresh)
        self._publish(segments)
        self._install(segments, tail_rows, live)
        for name in gone:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _install(self, segments: tuple[Segment, ...], tail_rows: int, live: Mask) -> None:
        """Replace segments and tail in one step, so that every search finds each live item."""
        before = self._segments
        names = {segment.name for segment in segments}
        settled, wanted = _settled_and_lacking(segments, [*before, self._tail], live)
        with self._lock:
            seqs = self._tail.seqs
            newer = np.arange(len(seqs)) >= tail_rows
            tail = self._tail.only(np.flatnonzero((newer & ~settled[seqs]) | wanted[seqs]))
            wanted[seqs] = False
            for segment in before:
                if segment.name not in names:
                    rows = np.flatnonzero(wanted[segment.seqs])
                    vectors = segment.graph.vectors(rows)
                    tail.append(segment.seqs[rows], segment.numbers[rows], vectors)
            self._segments, self._tail, self._view = segments, tail, None

    def _write(self, parts: Sequence[Part], threads: int) -> Segment | None:
        """Build a graph of these rows, and return it as it is read from the disk."""
        seqs = np.concatenate([part.seqs[rows] for part, rows in parts])
        numbers = np.concatenate([part.numbers[rows] for part, rows in parts])
        if not len(seqs):
            return None
        order = np.lexsort((numbers, seqs))
        seqs, numbers = seqs[order], numbers[order]
        vectors = _vectors_in(order, parts)
        graph = self._builder.build(vectors, threads)
        name = uuid4().hex
        folder = self.folder / name
        folder.mkdir(parents=True)
        try:
            graph.save(folder)
            np.save(folder / ROWS, np.stack([seqs, numbers.astype(np.int64)], axis=1))
            digests = {file: sealed(folder / file) for file in (*self._builder.files, ROWS)}
            sync_folder(folder)
        except BaseException:  # for example a full disk
            shutil.rmtree(folder, ignore_errors=True)
            raise
        graph = self._builder.load(folder)  # mapped, where the library can do that
        kind, total = self._builder.kind, vectors.sum(axis=0, dtype=np.float64).astype(np.float32)
        return Segment(name, seqs, numbers, graph, kind, total, digests)

    def _publish(self, segments: Sequence[Segment]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        entries = [entry_of(segment) for segment in segments]
        data = orjson.dumps({"encoder": self._encoder, "segments": entries})
        write_durably(self.folder / MANIFEST, data)
        self._manifest = data.decode()

    def _open(self, entry: dict[str, Any]) -> Segment | None:
        """Open a segment; return None if nothing here can read its kind."""
        folder, kind = self.folder / str(entry["name"]), str(entry.get("kind", FIRST_KIND))
        try:
            builder = builder_of_kind(kind, self._settings)
        except SettingsError as error:
            log.warning("a segment of kind %s is left out and made again: %s", kind, error)
            return None
        digests = digests_of(entry, builder.files)
        for file, digest in digests.items():
            path = folder / file
            if not path.is_file() or sha256_of(path) != digest:
                raise corrupt(path, "its sha256 does not match the manifest")
        try:
            rows = np.load(folder / ROWS, allow_pickle=False)
            graph = builder.load(folder)
        except (OSError, RuntimeError, ValueError) as error:
            raise corrupt(folder, f"can't be opened: {error}") from error
        seqs, numbers = np.ascontiguousarray(rows[:, 0]), rows[:, 1].astype(np.int32)
        total = _total_in(entry, graph)
        return Segment(str(entry["name"]), seqs, numbers, graph, kind, total, digests)


def _vectors_in(order: Ids, parts: Sequence[Part]) -> FloatMatrix:
    """Return the vectors of the rows of all parts in this order, float32 [n, d]; few of them are in
    memory twice.
    """
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    vectors = np.empty((0, 0), np.float32)
    done = 0
    for part, rows in parts:
        for start in range(0, len(rows), _PIECE):
            piece = part.vectors_of(rows[start : start + _PIECE])
            if not done:
                vectors = np.empty((len(order), piece.shape[1]), np.float32)
            vectors[places[done : done + len(piece)]] = piece
            done += len(piece)
    return vectors


def _total_in(entry: Mapping[str, Any], graph: VectorGraph) -> Floats:
    """Return the sum of a segment's vectors, as the manifest has it. Older manifests have none, and
    computing it reads all vectors.
    """
    try:
        known = np.array(entry.get("total") or (), np.float32)
    except (TypeError, ValueError):
        known = np.zeros(0, np.float32)
    if known.ndim == 1 and known.size and np.isfinite(known).all():
        return known
    pieces = (
        np.arange(start, min(start + _PIECE, graph.count))
        for start in range(0, graph.count, _PIECE)
    )
    sums = [graph.vectors(rows).sum(axis=0, dtype=np.float64) for rows in pieces]
    total: Floats = np.sum(sums, axis=0).astype(np.float32)
    return total


def _settled_and_lacking(
    segments: Sequence[Segment], before: Sequence[Segment | Tail], live: Mask
) -> tuple[Mask, Mask]:
    """Return two masks by seq, long enough for every row of `segments` and `before`: items that the
    segments hold or nobody sees, which no tail must keep; and live items that no segment holds.
    """
    newest = [int(part.seqs.max(initial=-1)) for part in (*segments, *before)]
    size = max(len(live), *(seq + 1 for seq in newest), 0)
    held, lacking = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for segment in segments:
        held[segment.seqs] = True
    lacking[: len(live)] = live & ~held[: len(live)]
    held[: len(live)] |= ~live
    return held, lacking
