"""What an NVIDIA card adds: encoding, index builds and exact ground truth, each against the cores.

`make bench-gpu` also measures models and shots by `benchmarks.models.runtimes`, on the cores, by
CUDA and by TensorRT.

    make bench-gpu
    python -m benchmarks.models.gpu [--texts FILE] [--model NAME] [--passages N] [--vectors N]

`make bench-gpu` first makes an environment from requirements-gpu.lock, because faiss with CUDA
can't be installed beside faiss-cpu, nor onnxruntime-gpu beside onnxruntime. Without a card the
command says so and exits with 1; `--cores-only` measures the cores alone.

- `encode`: passages a second by the model in ONNX Runtime, one side after the other on the same
  texts. The bundled encoder is int8, whose kernels are made for processors; to see a card at its
  best, name a float32 model, such as one from `dateline models pull` or `export`.
- `build`: seconds to index the vectors (unit, in clusters, from a fixed seed), and recall@10 and
  queries a second of the result: HNSW with this service's settings on the cores; IVF (lists: 4
  times the root of the number of vectors; 32 probed) on both; CAGRA (Ootomo et al. 2023) if this
  faiss has it.
- `graphs`: the service's own graphs through their port, in the table of `benchmarks.sides`: a call
  of one query and of 64, memory, disk, build as `start`, recall@10; chosen is the fastest with a
  recall of .97
- `exact`: seconds for the true 10 nearest of all queries by scanning, and how many of them both
  sides agree on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from benchmarks.machine import Machine, arguments, percentile, show, this_machine
from benchmarks.sides import Side, tell
from core.errors import DatelineError, SettingsError
from core.items import FloatMatrix
from dateline.build.models.runtimes import open_encoder
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings, configure
from storage.graphs.builders import builder_of
from storage.graphs.settings import HnswSettings, Implementation

K = 10
PROBES = 32
MANY, GOOD_RECALL = 64, 0.97
CLUSTERS = 1000
CARD_TOKENS = 32_768  # tokens of a batch on a card, which has more to fill than a processor's cache
WARM = 64  # passages before timing: the first calls choose kernels
_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "faiss-cpu", "faiss-gpu-cu12")
Rows = npt.NDArray[np.int64]
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Card:
    """Which libraries can use a card here. `problem` says why one can't, "" if all can."""

    faiss: bool
    onnxruntime: bool

    @property
    def problem(self) -> str:
        """The problem in words, and how to mend it."""
        said = []
        if not self.faiss:
            said.append("faiss sees no card (needed: faiss-gpu and a driver)")
        if not self.onnxruntime:
            said.append("ONNX Runtime has no CUDA provider (needed: onnxruntime-gpu)")
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Vectors:
    """The indexed vectors, float32 [n, d]; the queries, [q, d]; each query's true nearest, [q,
    K].
    """

    passages: FloatMatrix
    queries: FloatMatrix
    nearest: Rows


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=Path, help="passages, .jsonl or .txt; the demo corpus else")
    parser.add_argument("--model", default="", help="encoder; the settings' else")
    parser.add_argument("--passages", type=int, default=20_000, help="to encode")
    parser.add_argument("--vectors", type=int, default=1_000_000, help="to index")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--cores-only", action="store_true", help="leave the card out")
    chosen = parser.parse_args()
    card = Card(False, False) if chosen.cores_only else find_card()
    if not chosen.cores_only and card.problem:
        print(f"no NVIDIA card can be used here: {card.problem}", file=sys.stderr)
        raise SystemExit(1)
    try:
        figures = measured(chosen, card)
    except DatelineError as error:
        raise SystemExit(f"error: {error}") from error
    sides = figures.pop("graphs")
    if chosen.json:
        figures["graphs"] = [asdict(side) for side in sides]
    show("with and without a card", figures, machine(), as_json=chosen.json)
    if not chosen.json:
        tell("graphs", sides, machine(), as_json=False)


def machine() -> Machine:
    """Return the machine, with the packages of the environment in use."""
    found = this_machine()
    there = {name for package in packages_distributions().values() for name in package}
    names = [name for name in _PACKAGES if name in there]
    return replace(found, packages={name: version(name) for name in names})


def find_card() -> Card:
    """Return which of the two libraries can use a card; neither raises without one."""
    count = getattr(faiss, "get_num_gpus", lambda: 0)
    gpu_build = hasattr(faiss, "StandardGpuResources")
    return Card(gpu_build and count() > 0, "CUDAExecutionProvider" in ort.get_available_providers())


def measured(chosen: argparse.Namespace, card: Card) -> Figures:
    """Return all figures, by name with the unit in it."""
    settings = configure().settings
    model = chosen.model or settings.encoder
    figures = encoding(settings, model, passages(chosen.texts, chosen.passages), card)
    vectors, exact = ground_truth(
        clustered(chosen.vectors, 384, seed=1), clustered(chosen.queries, 384, seed=2), card
    )
    figures |= exact
    for name, build in builders(card).items():
        figures |= indexing(name, build, vectors)
    return {**figures, "graphs": graphs(vectors)}


def graphs(vectors: Vectors) -> list[Side]:
    """Return a row for the service's graphs on the cores and on a card."""
    rows = [graph(name, vectors) for name in ("faiss", "faiss-gpu")]
    good = [row for row in rows if not row.problem and row.quality >= GOOD_RECALL]
    best = min(good, key=lambda row: row.one_ms, default=None)
    return [replace(row, chosen=row is best) for row in rows]


def graph(implementation: Implementation, vectors: Vectors) -> Side:
    """Return the row of one implementation, or why it can't run here."""
    what = f"graph of {len(vectors.passages):,} (1, {MANY} queries)"
    try:
        builder = builder_of(HnswSettings(implementation=implementation))
    except SettingsError as error:
        return Side(what, implementation, problem=error.what)
    begin = perf_counter()
    made = builder.build(vectors.passages, faiss.omp_get_max_threads())
    built = perf_counter() - begin
    asked = vectors.queries
    found = np.concatenate([made.search_many(part, K)[1] for part in np.array_split(asked, 8)])
    singles = [asked[n : n + 1] for n in range(min(200, len(asked)))]
    one = _p50_ms([partial(made.search, query, K) for query in singles])
    many = _p50_ms([partial(made.search_many, asked[:MANY], K)] * 10)
    with TemporaryDirectory() as folder:
        made.save(Path(folder))
        disk = sum(place.stat().st_size for place in Path(folder).iterdir())
    return Side(
        what,
        implementation,
        one,
        many,
        memory_mb=made.bytes / 1e6,
        disk_mb=disk / 1e6,
        start_s=built,
        quality=recall(found, vectors.nearest),
        measure=f"recall@{K}",
    )


def _p50_ms(calls: Sequence[Callable[[], object]]) -> float:
    times = []
    for call in calls:
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return percentile(times, 50)


def passages(path: Path | None, count: int) -> list[str]:
    """Return `count` texts, repeated if there are fewer."""
    texts = read_texts(path, count)
    return [texts[number % len(texts)] for number in range(count)]


def encoding(settings: Settings, model: str, texts: list[str], card: Card) -> Figures:
    """Return passages a second on each device, and how near their vectors are."""
    figures: Figures = {}
    found: dict[str, FloatMatrix] = {}
    for device in ("cpu", "cuda") if card.onnxruntime else ("cpu",):
        changed: dict[str, object] = {"device": device, "runtimes": {}}
        if device == "cuda":
            changed["batch_tokens"] = CARD_TOKENS
        encoder = open_encoder(settings.model_copy(update=changed), model)
        try:
            encoder.encode_passages(texts[:WARM])
            begin = perf_counter()
            found[device] = encoder.encode_passages(texts)
            figures[f"encode {device} passages_per_s"] = len(texts) / (perf_counter() - begin)
        finally:
            encoder.close()
    if "cuda" in found:
        cosines = (found["cpu"] * found["cuda"]).sum(axis=1)
        figures["encode least cosine"] = float(cosines.min())
    return figures


def clustered(count: int, width: int, *, seed: int) -> FloatMatrix:
    """Return unit vectors [count, width] around common centres, like those of texts on common
    subjects.
    """
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, width)).astype(np.float32)
    chance = np.random.default_rng(seed)
    found = centres[chance.integers(0, CLUSTERS, count)]
    found += 0.7 * chance.normal(size=(count, width)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def ground_truth(stored: FloatMatrix, asked: FloatMatrix, card: Card) -> tuple[Vectors, Figures]:
    """Return the true nearest by scanning, on the cores and on the card."""
    begin = perf_counter()
    _, nearest = faiss.knn(asked, stored, K, metric=faiss.METRIC_INNER_PRODUCT)
    figures: Figures = {"exact cores s": perf_counter() - begin}
    if card.faiss:
        resources = faiss.StandardGpuResources()
        begin = perf_counter()
        _, same = faiss.knn_gpu(resources, asked, stored, K, metric=faiss.METRIC_INNER_PRODUCT)
        figures["exact card s"] = perf_counter() - begin
        figures["exact agreement"] = recall(same, nearest)
    return Vectors(stored, asked, nearest), figures


Search = Callable[[FloatMatrix], Rows]


def builders(card: Card) -> dict[str, Callable[[FloatMatrix], Search]]:
    """Return the ways to index vectors, by name; each returns a function that finds the K
    nearest.
    """
    found: dict[str, Callable[[FloatMatrix], Search]] = {"hnsw cores": hnsw, "ivf cores": ivf}
    if card.faiss:
        found["ivf card"] = ivf_card
        if hasattr(faiss, "GpuIndexCagra"):
            found["cagra card"] = cagra
    return found


def indexing(name: str, build: Callable[[FloatMatrix], Search], vectors: Vectors) -> Figures:
    """Return seconds to build, and the recall and speed of the result, with all queries in one
    call.
    """
    begin = perf_counter()
    search = build(vectors.passages)
    built = perf_counter() - begin
    search(vectors.queries[:WARM])
    begin = perf_counter()
    found = search(vectors.queries)
    spent = perf_counter() - begin
    return {
        f"build {name} s": built,
        f"build {name} recall@{K}": recall(found, vectors.nearest),
        f"build {name} queries_per_s": len(vectors.queries) / spent,
    }


def recall(found: Rows, nearest: Rows) -> float:
    """Return the mean share of each query's true nearest [q, K] that `found` [q, K] has."""
    pairs = zip(found, nearest, strict=True)
    return float(np.mean([len(np.intersect1d(row, true)) / len(true) for row, true in pairs]))


def nearest(index: Any, asked: FloatMatrix) -> Rows:
    """Return the K nearest of each query by a faiss index."""
    found: Rows = index.search(asked, K)[1]
    return found


def hnsw(stored: FloatMatrix) -> Search:
    """Return a graph with this service's settings, on all cores."""
    settings = HnswSettings()
    index = faiss.IndexHNSWFlat(stored.shape[1], settings.m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = settings.ef_construction
    index.keep_max_size_level0 = True
    index.add(stored)
    index.hnsw.efSearch = settings.ef_search
    return partial(nearest, index)


def lists(count: int) -> int:
    """Return the number of lists of an inverted file with `count` vectors."""
    return max(1, int(4 * count**0.5))


def ivf(stored: FloatMatrix) -> Search:
    """Return an inverted file on the cores."""
    width = stored.shape[1]
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(width), width, lists(len(stored)), faiss.METRIC_INNER_PRODUCT
    )
    index.cp.min_points_per_centroid = 1  # small runs have few vectors to train on
    index.train(stored)
    index.add(stored)
    index.nprobe = PROBES
    return partial(nearest, index)


def ivf_card(stored: FloatMatrix) -> Search:
    """Return an inverted file on the card."""
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexIVFFlat(
        resources, stored.shape[1], lists(len(stored)), faiss.METRIC_INNER_PRODUCT
    )
    index.train(stored)
    index.add(stored)
    index.nprobe = PROBES
    return partial(nearest, index)


def cagra(stored: FloatMatrix) -> Search:
    """Return a graph built and searched on the card."""
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexCagra(resources, stored.shape[1], faiss.METRIC_INNER_PRODUCT)
    index.train(stored)
    return partial(nearest, index)


if __name__ == "__main__":
    main()
