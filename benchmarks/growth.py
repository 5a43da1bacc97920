"""How an archive grows: import with supplied vectors, graphs, searches, recall, memory, churn.

    python -m benchmarks.growth [--data DIR] [--passages N] [--implementation I] [--precision P]
                                [--folder DIR] [--keep] [--vectors-alone]

Stories are made: words by Zipf's law, one passage each. Their vectors are **generated with the
measured distribution**: each lies beside a real passage of the collections indexed under `--data`,
in the direction of another real one, at a cosine drawn from those of real passages with their
nearest neighbour. The queries are 1,000 real passages that nothing was made from, each with three
words of a made story. The figures say how near generated and real vectors have their neighbours.

The stories are imported from JSON Lines with their vectors, until they are durable and found by
words; making the files is not timed. Graphs are built after each million, timed apart. Then the
archive is opened again and asked, its ten nearest are compared with an exact scan, and one per cent
of the stories come in a new version. Seconds of processor time stand beside those of the clock,
because those of a busy machine say little.

An archive that was kept with `--keep` grows to the passages that the next run with `--keep` and the
same folder asks for. If it has them, it is only opened and asked, so that one can import beside
other work and ask on a quiet machine. If its `projections` were removed, they are made again first,
for another precision for example.

With `--vectors-alone` there are no stories, only segments of a million vectors each: a tenth of the
disk and a fraction of the time, to see what segments of 3 and 10 million cost and find.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NoReturn

import numpy as np
import orjson

from benchmarks.machine import arguments, peak_memory_mb, percentile, show, this_machine
from core.callers import Caller
from core.items import FloatMatrix, Item
from core.ports.graphs import GraphBuilder, VectorGraph
from core.query_tree import EVERYTHING, Bool, Word
from core.retrieval import Floats, Retrieval, VectorQuery
from dateline.measuring.real_vectors import real_vectors
from indexing.ingest import Ingest, IngestOptions
from indexing.supplied_vectors import Space
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.embedded.vectors.vector_view import Block, Segment
from storage.graphs.builders import builder_of
from storage.graphs.settings import HnswSettings

FIELD, ENCODER = "text", "generated"
WIRE = Caller("wire", frozenset({"wire"}))
NEAREST = 10
_QUERIES, _SEED, _CHUNK, _PIECE = 1000, 1987, 20_000, 8192
_VOCABULARY, _WORDS = 50_000, 80
_STOPPED = 100  # the commonest words: four in ten of a text, as stop words are
_SAMPLE = 2000
_NEVER = 10**9  # rows


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where judged sets are")
    parser.add_argument("--passages", type=int, default=100_000, help="how many")
    parser.add_argument("--implementation", default="faiss", help="of the graphs")
    parser.add_argument("--precision", default="fp32", help="of the graphs' vectors")
    parser.add_argument("--folder", type=Path, help="where the archive is made, and removed")
    parser.add_argument("--keep", action="store_true", help="keep it; ask the one that was kept")
    parser.add_argument("--threads", type=int, default=2, help="of the builds")
    parser.add_argument("--vectors-alone", action="store_true", help="segments without stories")
    chosen = parser.parse_args()
    machine = this_machine()
    made = Made.of(real_vectors(chosen.data, 0).vectors)
    chosen.keep = chosen.keep and bool(chosen.folder)
    folder = chosen.folder if chosen.keep else Path(tempfile.mkdtemp(dir=chosen.folder))
    hnsw = HnswSettings(implementation=chosen.implementation, precision=chosen.precision)
    settings = EmbeddedSettings(
        folder / "archive",
        {FIELD: ENCODER},
        hnsw,
        ProjectionSettings(build_threads=chosen.threads, seal_rows=_NEVER, idle_seal_rows=_NEVER),
    )
    try:
        if chosen.vectors_alone:
            segments = Segments(builder_of(hnsw), folder, chosen.threads)
            figures = segments.measured(made, chosen.passages)
        elif (held := _held(settings)) >= chosen.passages:
            figures = _asked_again(settings, made, chosen.passages)
        else:
            figures = _life(settings, made, held, chosen.passages)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)
    figures = {**made.likeness(), **figures}
    show("growth, vectors generated", figures, machine, as_json=chosen.json)


@dataclass(frozen=True, slots=True)
class Made:
    """Makes stories and vectors, the same in every run; `neighbours` are cosines of real passages
    with their nearest one.
    """

    real: FloatMatrix
    queries: FloatMatrix
    neighbours: Floats

    @classmethod
    def of(cls, vectors: FloatMatrix) -> Made:
        """Set the queries apart, and measure how near the others are to each other."""
        real, queries = vectors[_QUERIES:], vectors[:_QUERIES]
        return cls(real, queries, _to_nearest(real[:_SAMPLE], real, 1))

    def vectors(self, first: int, size: int) -> FloatMatrix:
        """Return vectors from number `first` on, float32 [size, d], unit norm."""
        chance = np.random.default_rng((_SEED, first))
        ones, others = self.real[chance.integers(0, len(self.real), (2, size))]
        cosines = np.clip(chance.choice(self.neighbours, size), 0, 0.999)[:, None]
        beside = others - np.sum(ones * others, axis=1, keepdims=True) * ones
        beside /= np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), 1e-6)
        found = cosines * ones + np.sqrt(1 - cosines**2) * beside
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return np.ascontiguousarray(found, np.float32)

    def likeness(self) -> dict[str, float]:
        """Return cosines of nearest neighbours and of any two, real and generated, in sets of the
        same size.
        """
        made = self.vectors(0, len(self.real))
        near = _to_nearest(made[:_SAMPLE], made, 1)
        half = len(made) // 2
        return {
            "nearest cosine, real p50": float(np.median(self.neighbours)),
            "nearest cosine, generated p50": float(np.median(near)),
            "any cosine, real mean": float((self.real.mean(axis=0) ** 2).sum()),
            "any cosine, generated mean": float(
                made[:half].mean(axis=0) @ made[half:].mean(axis=0)
            ),
        }

    def stories(self, first: int, size: int, version: int = 1) -> Iterator[bytes]:
        """Yield lines of stories with their vectors."""
        rows = self.vectors(first + 7 * (version - 1), size).astype("<f2")
        chance = np.random.default_rng((_SEED, first, version))
        ranks = (_VOCABULARY ** chance.random((size, _WORDS))).astype(int)  # by Zipf's law
        for n, (row, words) in enumerate(zip(rows, ranks.tolist(), strict=True)):
            texts = [f"word{rank}" for rank in words]
            body = " ".join(texts[8:])
            entry = {
                "field": FIELD,
                "encoder": ENCODER,
                "passages": [["body", 0, len(body)]],
                "matrix": b64encode(row.tobytes()).decode(),
            }
            yield orjson.dumps(
                {
                    "uri": f"urn:made:{first + n}",
                    "version": version,
                    "type": "text",
                    "versioncreated": "2026-03-01T12:00:00Z",
                    "headline": " ".join(texts[:8]),
                    "body_text": body,
                    "_vectors": [entry],
                }
            )


def _to_nearest(some: FloatMatrix, every: FloatMatrix, skipped: int) -> Floats:
    """Return the cosine of each of `some` with its nearest of `every`, without itself."""
    best = np.full((len(some), skipped + 1), -1, np.float32)
    for start in range(0, len(every), _PIECE):
        fresh = some @ every[start : start + _PIECE].T
        best = -np.partition(-np.hstack([best, fresh]), skipped, axis=1)[:, : skipped + 1]
    return np.asarray(best.min(axis=1), np.float32)


class _NoEmbedder:
    def embed(self, items: Sequence[Item]) -> NoReturn:
        raise AssertionError("every story has its vectors")


@dataclass(slots=True)
class Timed:
    """Seconds of the clock and of all processors, added up."""

    wall: float = 0.0
    cpu: float = 0.0

    def run(self, work: Callable[[], Any]) -> Any:
        """Work, and add its time."""
        wall, cpu = perf_counter(), process_time()
        found = work()
        self.wall += perf_counter() - wall
        self.cpu += process_time() - cpu
        return found

    def add(self, other: Timed) -> None:
        """Add another's time."""
        self.wall += other.wall
        self.cpu += other.cpu


def _clock() -> datetime:
    return datetime.now(UTC)


def _opened(settings: EmbeddedSettings) -> EmbeddedEngine:
    return EmbeddedEngine(settings, _clock)


def _held(settings: EmbeddedSettings) -> int:
    """Return how many stories the archive has; 0 if there is none."""
    if not settings.folder.exists():
        return 0
    engine = _opened(settings)
    try:
        return int(engine.status()["visible"])
    finally:
        engine.close()


def _life(settings: EmbeddedSettings, made: Made, held: int, passages: int) -> dict[str, float]:
    """Import what is missing of the `passages`, build, open again, ask, change: return the figures
    of each. `held` are there.
    """
    engine = _opened(settings)
    try:
        imported, built = Timed(), Timed()
        for first in range(held, passages, _SEGMENT):  # or all vectors would wait in memory
            until = min(first + _SEGMENT, passages)
            firsts = range(first, until, _CHUNK)
            imported.add(_import(engine, made, settings.folder.parent, firsts, until))
            built.run(engine.compact)
    finally:
        engine.close()
    disk = sum(path.stat().st_size for path in settings.folder.rglob("*") if path.is_file())
    figures = {
        "import, durable and found by words, stories/s": (passages - held) / imported.wall,
        "import, processor us a story": imported.cpu / (passages - held) * 1e6,
        "graphs, processor us a passage": built.cpu / (passages - held) * 1e6,
        "graphs, s": built.wall,
        "disk, bytes a story": disk / passages,
        "peak memory of import and build, MB": peak_memory_mb(),
    }
    figures |= _asked_again(settings, made, passages)
    engine = _opened(settings)
    try:
        return figures | _churned(engine, made, settings.folder.parent, passages)
    finally:
        engine.close()


def _asked_again(settings: EmbeddedSettings, made: Made, passages: int) -> dict[str, float]:
    """Open the archive, and ask it: return the figures."""
    before, opening = _memory_mb(), Timed()
    engine = opening.run(lambda: _opened(settings))
    rebuilt = Timed()
    rebuilt.run(engine.compact)  # builds only where the graphs are missing
    try:
        return {
            "passages": passages,
            "graphs that were missing, processor s": rebuilt.cpu,
            "opening, s": opening.wall,
            "opening, processor s": opening.cpu,
            "segments": len(engine.projections.fields[FIELD].segment_sizes),
            **_asked(engine, made, passages),
            **{f"memory, {name} MB": now - before[name] for name, now in _memory_mb().items()},
        }
    finally:
        engine.close()


def _import(
    engine: EmbeddedEngine,
    made: Made,
    folder: Path,
    firsts: Sequence[int],
    until: int,
    version: int = 1,
) -> Timed:
    """Import stories in files, one after the other; wait for each to be found by words."""
    ingest = Ingest(engine, _NoEmbedder(), _clock)
    spaces = {FIELD: Space(ENCODER, made.real.shape[1])}
    options = IngestOptions(("wire",), batch_size=500, spaces=spaces)
    timed, path = Timed(), folder / "stories.jsonl"
    for first in firsts:
        size = min(_CHUNK, until - first)
        path.write_bytes(b"\n".join(made.stories(first, size, version)))

        def run() -> int:
            report = ingest.run([path], options)
            engine.catch_up()
            return report.passages

        if timed.run(run) != size:
            raise SystemExit("not every story was imported with its vectors")
        rate = (first + size - firsts[0]) / timed.wall
        print(f"imported {first + size:,} of {until:,}, {rate:,.0f}/s", file=sys.stderr)
    path.unlink()
    return timed


def _asked(engine: EmbeddedEngine, made: Made, passages: int) -> dict[str, float]:
    """Ask every query, and compare what is found with the truly nearest passages. Then ask all of
    them again without the commonest words: a real search leaves stop words out, and made words have
    none.
    """
    shares = np.random.default_rng(_SEED).random((len(made.queries), 3))
    cpu = process_time()
    times, found = _timed(engine, made, (_VOCABULARY**shares).astype(int).tolist())
    cpu = process_time() - cpu
    rarer = _STOPPED * (_VOCABULARY / _STOPPED) ** shares
    others, _ = _timed(engine, made, rarer.astype(int).tolist())
    return {
        "search p50, ms": percentile(times, 50),
        "search p99, ms": percentile(times, 99),
        "search, processor ms": cpu / len(times) * 1000,
        f"search without the {_STOPPED} commonest words p50, ms": percentile(others, 50),
        f"search without the {_STOPPED} commonest words p99, ms": percentile(others, 99),
        "recall@10": _recall(found, _exact(engine, made.queries)),
    }


def _timed(
    engine: EmbeddedEngine, made: Made, ranks: Sequence[Sequence[int]]
) -> tuple[list[float], list[Floats]]:
    """Ask every query with the words of these ranks; return seconds, and the cosines of the nearest
    that were found, best first.
    """
    times: list[float] = []
    found: list[Floats] = []
    for number, words in enumerate(ranks):
        vector = VectorQuery(FIELD, 0.5, partial(_row, made.queries, number))
        text = Bool(should=tuple(Word(f"word{rank}") for rank in words))
        request = Retrieval(text, WIRE, EVERYTHING, (vector,), 400, 100)
        began = perf_counter()
        answer = engine.retrieve(request)
        times.append(perf_counter() - began)
        (scores,) = answer.vectors
        near = (scores.ranks > 0) & (scores.ranks <= NEAREST)
        found.append(np.sort(scores.cosines[near])[::-1])
    return times, found


def _recall(found: Sequence[Floats], exact: FloatMatrix) -> float:
    """Return which share of the truly nearest were found, by their cosines, best first."""
    pairs = zip(found, exact, strict=True)
    hits = [np.count_nonzero(own[:NEAREST] >= true[-1] - 1e-5) for own, true in pairs]
    return float(np.mean(np.minimum(hits, NEAREST))) / NEAREST


def _row(matrix: FloatMatrix, number: int) -> FloatMatrix:
    return matrix[number : number + 1]


def _exact(engine: EmbeddedEngine, queries: FloatMatrix) -> FloatMatrix:
    """Return the cosines of the nearest visible passages of each query, best first."""
    best = np.full((len(queries), NEAREST), -1, np.float32)
    view = engine.projections.fields[FIELD].view()
    blocks: tuple[Segment | Block, ...] = (*view.segments, view.tail)
    seqs = np.concatenate([block.seqs for block in blocks])
    shown = np.zeros(int(seqs.max()) + 1, np.bool_)
    shown[engine.visible(np.unique(seqs), WIRE)] = True
    for block in blocks:
        live = np.flatnonzero(shown[block.seqs])
        for start in range(0, len(live), _PIECE):
            best = _bettered(best, queries, block.vectors_of(live[start : start + _PIECE]))
    return -np.sort(-best, axis=1)


def _bettered(best: FloatMatrix, queries: FloatMatrix, vectors: FloatMatrix) -> FloatMatrix:
    """Return the best cosines of each query so far, float32 [q, NEAREST], with those of `vectors`
    [n, d]; in no order.
    """
    return _merged(best, queries @ vectors.T)


def _merged(best: FloatMatrix, cosines: FloatMatrix) -> FloatMatrix:
    fresh = np.hstack([best, cosines])
    return -np.partition(-fresh, NEAREST - 1, axis=1)[:, :NEAREST]


_SEGMENT = ProjectionSettings().most_rows
_TRULY = "truly-nearest.npy"
_DEEP = 100  # passages that a search takes from the vectors


@dataclass(frozen=True, slots=True)
class Segments:
    """Builds segments without an archive in `folder`, and asks them as a search does."""

    builder: GraphBuilder
    folder: Path
    threads: int

    def measured(self, made: Made, passages: int) -> dict[str, float]:
        """Build what is not there, open and ask: return the figures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        building, built = Timed(), 0
        best = np.full((len(made.queries), NEAREST), -1, np.float32)
        folders: list[Path] = []
        for first in range(0, passages, _SEGMENT):
            size = min(_SEGMENT, passages - first)
            folders.append(folder := self.folder / f"{first}-{size}")
            if not folder.exists():
                self._build(made, first, size, building)
                built += size
            best = _merged(best, np.load(folder / _TRULY))
            print(f"built {first + size:,} of {passages:,}", file=sys.stderr)
        before, opening = _memory_mb(), Timed()
        graphs = [opening.run(partial(self.builder.load, one)) for one in folders]
        files = [folder / name for folder in folders for name in self.builder.files]
        return {
            "passages": passages,
            "segments": len(graphs),
            "build, processor us a passage": building.cpu / max(built, 1) * 1e6,
            "build, s": building.wall,
            "disk, bytes a passage": sum(path.stat().st_size for path in files) / passages,
            "memory, bytes a passage": sum(graph.bytes for graph in graphs) / passages,
            "opening, s": opening.wall,
            **self._asked(graphs, made.queries, -np.sort(-best, axis=1)),
            **{f"memory, {name} MB": now - before[name] for name, now in _memory_mb().items()},
        }

    def _build(self, made: Made, first: int, size: int, building: Timed) -> None:
        parts = range(first, first + size, _CHUNK)
        rows = [made.vectors(part, min(_CHUNK, first + size - part)) for part in parts]
        vectors = np.concatenate(rows).astype("<f2").astype(np.float32)  # as the record's
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as made_in:
            folder = Path(made_in) / "segment"
            folder.mkdir()
            building.run(lambda: self.builder.build(vectors, self.threads).save(folder))
            best = np.full((len(made.queries), NEAREST), -1, np.float32)
            for start in range(0, size, _PIECE):
                best = _bettered(best, made.queries, vectors[start : start + _PIECE])
            np.save(folder / _TRULY, best)
            folder.rename(self.folder / f"{first}-{size}")

    @staticmethod
    def _asked(
        graphs: Sequence[VectorGraph], queries: FloatMatrix, exact: FloatMatrix
    ) -> dict[str, float]:
        times: list[float] = []
        found: list[Floats] = []
        for number in range(len(queries)):
            began = perf_counter()
            parts = [graph.search(_row(queries, number), _DEEP)[0] for graph in graphs]
            found.append(-np.sort(-np.concatenate(parts))[:_DEEP])
            times.append(perf_counter() - began)
        return {
            "vectors alone p50, ms": percentile(times, 50),
            "vectors alone p99, ms": percentile(times, 99),
            "recall@10": _recall(found, exact),
        }


def _churned(engine: EmbeddedEngine, made: Made, folder: Path, passages: int) -> dict[str, float]:
    """Import one per cent of the stories in a new version, and tend the segments as if idle. They
    are the last ones: the first ones of an archive that grew have that version already.
    """
    count = max(passages // 100, 1)
    firsts = range(passages - count, passages, _CHUNK)
    imported = _import(engine, made, folder, firsts, passages, version=2)
    merged = Timed()
    merged.run(engine.compact)
    return {
        "1 % churn, stories": count,
        "1 % churn, import s": imported.wall,
        "1 % churn, graphs, s": merged.wall,
        "1 % churn, graphs, processor s": merged.cpu,
        "segments after churn": len(engine.projections.fields[FIELD].segment_sizes),
    }


def _memory_mb() -> dict[str, float]:
    """Return the memory of this process that is its own, and of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {
        name: int(rest.split()[0]) / 1000
        for name, _, rest in (one.partition(":") for one in lines)
        if name in ("RssAnon", "RssFile")
    }
    return {"own": sizes["RssAnon"], "mapped": sizes["RssFile"]}


if __name__ == "__main__":
    main()
