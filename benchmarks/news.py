"""The news archive and the queries that the search benchmarks share.

Reuters, with titles, is indexed once into the evaluation's cache in the data folder. The queries
are its 1,000 headlines. All are different and each is asked once per process, so no cache of query
vectors can help.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import REUTERS
from core.callers import Caller
from dateline.build.service import Service
from dateline.measuring.evaluate import cached_index, open_indexed, reader_of
from dateline.settings import configure
from eval.sets.datasets import Conventions, read_judged_set
from indexing.ingest import Progress
from storage.embedded.engine import EmbeddedEngine

WARM_UP = 30


@dataclass(frozen=True, slots=True)
class News:
    """The service over the archive in `folder`, the caller, and the queries."""

    service: Service
    folder: Path
    caller: Caller
    warm_up: tuple[str, ...]
    queries: tuple[str, ...]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the search benchmarks."""
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the cache is")
    parser.add_argument("--queries", type=int, default=0, help="how many; 0 for all")


@contextmanager
def open_news(folder: Path, data: Path, limit: int) -> Iterator[News]:
    """Open the archive, and index it first if needed. Names are not searched for in queries,
    because the encoder, BM25 and the vectors are compared.
    """
    settings = configure({"data": str(data), "tagger": ""}).settings
    judged = read_judged_set(str(folder), Conventions())
    texts = tuple(dict.fromkeys(judged.queries.values()))
    end = WARM_UP + limit if limit else len(texts)
    with open_indexed(settings, judged, Reporting()) as service:
        yield News(
            service,
            cached_index(settings, judged, service.models).folder,
            reader_of(judged),
            texts[:WARM_UP],
            texts[WARM_UP:end],
        )


def embedded_of(service: Service) -> EmbeddedEngine:
    """Return the embedded engine; a benchmark times its libraries' own objects."""
    if not isinstance(service.engine, EmbeddedEngine):
        raise SystemExit("this benchmark is of the embedded engine: leave DATELINE_ENGINE out")
    return service.engine


class Reporting:
    """Reports the progress of indexing on the error stream."""

    def __init__(self) -> None:
        self._said = 0

    def advance(self, progress: Progress) -> None:
        """Print a line for each 1,000 documents."""
        if progress.documents // 1000 > self._said:
            self._said = progress.documents // 1000
            print(f"indexing: {progress.documents:,} documents", file=sys.stderr)
