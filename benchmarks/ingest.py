"""Ingest with embeddings against the bare encoder, on the same texts in the same run.

    python -m benchmarks.ingest [FOLDER] [--limit N]

The stories of a BEIR folder are cut into chunks. For every chunk two things are timed, in an order
that alternates, so that a noisy machine is noisy for both:

- `Ingest.run` into an archive on disk, as `dateline ingest` does it: reading, checking, cutting,
  embedding, the record of truth with its fsyncs, and the background work on projections during that
  time. The rest of that work is finished before the other side starts, and reported as
  `projections_s`.
- the encoder alone over the passages of these stories, already cut, all in one call.

Passages a second of each are all passages over all seconds. Peak memory is that of the whole
process, with both sides and the projections.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from benchmarks.machine import REUTERS, arguments, peak_memory_mb, show, this_machine
from core.errors import InputError
from dateline.build.service import Service, archive_clock, build_service
from dateline.settings import configure
from eval.sets.lines import find, read_lines
from indexing.ingest import IngestOptions
from indexing.passages import PassageSplitter
from indexing.sources import Accepted, Sources

PRODUCTS = ("bench",)
_LOOK_S = 0.3  # the background thread looks for work every 0.2 s


@dataclass(frozen=True, slots=True)
class Timed:
    """One chunk: stories, passages, and the seconds of the ingest, of the projections after it and
    of the encoder.
    """

    stories: int
    passages: int
    ingest_s: float
    projections_s: float
    encoder_s: float


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS)
    parser.add_argument("--limit", type=int, default=0, help="stories; 0 for all")
    parser.add_argument("--chunk", type=int, default=250, help="stories a chunk")
    chosen = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory() as place:
        chunks = list(_chunks(chosen.folder, Path(place), chosen.limit, chosen.chunk))
        settings = configure({"data": str(Path(place) / "archive")}).settings
        service = build_service(settings)
        try:
            timed = [
                _compare(service, path, number, len(chunks)) for number, path in enumerate(chunks)
            ]
        finally:
            service.close()
    show("ingest with embeddings", _figures(timed), machine, as_json=chosen.json)


def _chunks(folder: Path, place: Path, limit: int, size: int) -> Iterator[Path]:
    """Yield BEIR folders of `size` stories each, written in `place`."""
    corpus = find(folder, "corpus.jsonl")
    if corpus is None:
        raise InputError("there is no corpus.jsonl", where=str(folder))
    lines = islice(read_lines(corpus), limit or None)
    number = 0
    while rows := list(islice(lines, size)):
        path = place / f"chunk-{number}" / "corpus.jsonl.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(b"".join(row.data + b"\n" for row in rows), 1))
        yield path
        number += 1


def _compare(service: Service, path: Path, number: int, count: int) -> Timed:
    stories, texts = _texts(service, path)
    encoder_s = _encode(service, texts) if number % 2 else 0.0
    started = perf_counter()
    report = service.ingest.run([path], IngestOptions(products=PRODUCTS))
    ingest_s = perf_counter() - started
    projections_s = _settle(service)
    if report.passages != len(texts) or report.stopped_by is not None:
        raise SystemExit(f"the two sides differ: {report.passages} and {len(texts)} passages")
    encoder_s = encoder_s or _encode(service, texts)
    ratio = encoder_s / ingest_s
    print(f"chunk {number + 1}/{count}: {len(texts)} passages, {ratio:.3f}", file=sys.stderr)
    return Timed(stories, len(texts), ingest_s, projections_s, encoder_s)


def _settle(service: Service) -> float:
    """Wait until the background thread has looked again and finished its work. Returns the seconds
    that this took, without the wait for its next look.
    """
    seconds = 0.0
    for _ in range(2):
        started = perf_counter()
        service.engine.catch_up()
        seconds += perf_counter() - started
        sleep(_LOOK_S)
    return seconds


def _texts(service: Service, path: Path) -> tuple[int, list[str]]:
    """Return the number of these stories, and the texts that the encoder reads of them."""
    sources = Sources([path], archive_clock(service.settings), PRODUCTS)
    items = [reading.item for reading in sources if isinstance(reading, Accepted)]
    cuts = PassageSplitter(service.models.encoder.tokenizer_path).cut(items)
    return len(items), [text for cut in cuts for text in cut.texts]


def _encode(service: Service, texts: list[str]) -> float:
    started = perf_counter()
    service.models.encoder.encode_passages(texts)
    return perf_counter() - started


def _figures(timed: list[Timed]) -> dict[str, Any]:
    passages = sum(chunk.passages for chunk in timed)
    ingest_s = sum(chunk.ingest_s for chunk in timed)
    encoder_s = sum(chunk.encoder_s for chunk in timed)
    projections_s = sum(chunk.projections_s for chunk in timed)
    return {
        "stories": sum(chunk.stories for chunk in timed),
        "passages": passages,
        "ingest_passages_per_s": passages / ingest_s,
        "encoder_passages_per_s": passages / encoder_s,
        "share_of_encoder": encoder_s / ingest_s,
        "share_with_projections": encoder_s / (ingest_s + projections_s),
        "ingest_s": ingest_s,
        "projections_s": projections_s,
        "peak_memory_mb": peak_memory_mb(),
    }


if __name__ == "__main__":
    main()
