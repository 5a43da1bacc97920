"""Understanding without the tagger: what a query costs before anything is retrieved.

    python -m benchmarks.search.understand [FOLDER] [--rounds N]

There are two kinds of queries, each read N times after a warm-up round, in a different order each
round: the tests' table of dates, which has a date in nearly every line, and the titles of a judged
set (default: Reuters), which are longer and have few. If other work uses the processor, compare the
processor times.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, thread_time

import orjson

from benchmarks.machine import REUTERS, arguments, percentile, show, this_machine
from search.understanding.dates import Calendar, calendar_of
from search.understanding.understand import Understanding

_TABLE = Path("tests/search/understanding/dates/date_cases.md")
_TARGET_MS = 1.0


def main() -> None:
    """Print p50, p99 and the slowest (p100), in milliseconds."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS, help="a judged set")
    parser.add_argument("--rounds", type=int, default=5, help="how often each query is read")
    asked = parser.parse_args()
    machine = this_machine()
    calendar = calendar_of(datetime(2026, 3, 18, 10, tzinfo=UTC), "Europe/Berlin", "en-US")
    figures: dict[str, float | int] = {}
    for name, queries in (("dates", _table()), ("titles", _titles(asked.folder))):
        figures[f"{name}, queries"] = len(queries)
        wall, processor = _times(queries, asked.rounds, calendar)
        for clock, times in (("wall", wall), ("processor", processor)):
            for at in (50, 99, 100):
                figures[f"{name}, {clock} p{at} ms"] = percentile(times, at)
    show(f"understanding, at most {_TARGET_MS} ms", figures, machine, as_json=asked.json)


def _table() -> list[str]:
    rows = [
        line.split("|")[1].strip() for line in _TABLE.read_text("utf-8").splitlines() if "|" in line
    ]
    return [query for query in rows if query != "query" and set(query) != {"-"}]


def _titles(folder: Path) -> list[str]:
    with gzip.open(folder / "queries.jsonl.gz") as lines:
        return [orjson.loads(line)["text"] for line in lines]


def _times(
    queries: Sequence[str], rounds: int, calendar: Calendar
) -> tuple[list[float], list[float]]:
    """Return the seconds of each reading by the clock, and of the processor."""
    understanding = Understanding(None)
    wall: list[float] = []
    processor: list[float] = []
    order = list(queries)
    for number in range(rounds + 1):
        random.Random(number).shuffle(order)
        for query in order:
            started, used = perf_counter(), thread_time()
            understanding.understand(query, calendar=calendar)
            if number:
                wall.append(perf_counter() - started)
                processor.append(thread_time() - used)
    return wall, processor


if __name__ == "__main__":
    main()
