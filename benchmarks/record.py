"""The record of truth as a file and on Postgres, in turns.

    python -m benchmarks.record [--postgres URL] [--items N] [--rounds N]

Without `--postgres` a server is started if one is installed, in a temporary folder, on the loopback
interface and on this disk; a database that is named should be empty. The SQLite file is on the same
disk. Both wait for the disk at every commit.

- `puts, batch of n`: versions written a second, with two passages of 384 dimensions each, in one
  transaction per batch.
- `visible, 1,000 ids`: how long it takes to learn which of 1,000 candidates a caller may see, which
  each search asks before it answers. Most of it is one look at the record.
- `after a foreign write`: the same after another host has written a version, which is applied
  first.
- `items, 10 ids`: the documents of a page.

Ratios are Postgres's to SQLite's, of medians.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.machine import arguments, show, this_machine
from core.callers import Caller
from core.items import Item, ItemType, Passage, PassageVectors
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.record.archive import Record
from storage.postgres.record import PostgresRecord
from storage.record.port import RecordOfTruth

_SPACES = {"text": "space"}
_CALLER = Caller("wire", frozenset({"wire"}))
_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_TEXT = "The ferry ran aground off the northern quay, the harbour master said on Sunday. " * 30
_BATCHES = (1, 32, 256)
Open = Callable[[Path], RecordOfTruth]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--postgres", default="", help="URL of an empty database")
    parser.add_argument("--items", type=int, default=5000, help="versions in the archive")
    parser.add_argument("--rounds", type=int, default=200, help="questions of each kind")
    chosen = parser.parse_args()
    machine = this_machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="record-")))
        address = chosen.postgres or stack.enter_context(_server())
        sides = {
            "sqlite": _Side(folder / "sqlite", lambda at: Record(at, _SPACES, _now)),
            "postgres": _Side(
                folder / "postgres", lambda _: PostgresRecord(address, _SPACES, _now)
            ),
        }
        for side in sides.values():
            stack.callback(side.close)
        figures = _measured(sides, chosen.items, chosen.rounds)
    show("record", figures, machine, as_json=chosen.json)


def _now() -> datetime:
    return _NOW


class _Side:
    """An engine over one record, and the record of a second host."""

    def __init__(self, folder: Path, open_record: Open) -> None:
        folder.mkdir()
        settings = EmbeddedSettings(folder, _SPACES, background=False)
        self.engine = EmbeddedEngine(settings, _now, open_record(folder))
        self.other = open_record(folder)
        self.written = 0

    def puts(self, count: int) -> list[PutItem]:
        """Return `count` new items."""
        first, self.written = self.written, self.written + count
        return [_put(number) for number in range(first, first + count)]

    def close(self) -> None:
        """Close both."""
        self.engine.close()
        self.other.close()


def _put(number: int) -> PutItem:
    uri = f"urn:item:{number}"
    item = Item(
        uri, 1, ItemType.TEXT, _NOW, _NOW, uri, headline=uri, body=_TEXT, products=("wire",)
    )
    rows = np.random.default_rng(number).standard_normal((2, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    spans = (Passage("body", 0, 1200), Passage("body", 1200, 2400))
    return PutItem(item, (PassageVectors("text", "space", spans, rows),))


def _measured(sides: dict[str, _Side], items: int, rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"items": items}
    for size in _BATCHES:
        times = _in_turns(sides, max(5, min(rounds, 2000 // size)), lambda s, n=size: _write(s, n))  # type: ignore[misc]
        rates = {name: size / median(seconds) for name, seconds in times.items()}
        figures |= _pair(f"puts/s, batch of {size}", rates)
    for side in sides.values():
        while side.written < items:
            side.engine.record.put(side.puts(min(500, items - side.written)))
        side.engine.projections.refresh()
    ids = np.random.default_rng(1).choice(np.arange(1, items), 1000, replace=False)
    asked: dict[str, Callable[[_Side], Callable[[], object]]] = {
        "visible, 1,000 ids": lambda s: lambda: s.engine.visible(ids, _CALLER),
        "after a foreign write": lambda s: _after_a_write(
            s, lambda: s.engine.visible(ids, _CALLER)
        ),
        "items, 10 ids": lambda s: lambda: s.engine.items(ids[:10], _CALLER),
    }
    for name, question in asked.items():
        times = _in_turns(sides, rounds, question)
        figures |= _pair(f"{name}, ms", {n: 1000 * median(s) for n, s in times.items()})
    return figures


def _write(side: _Side, size: int) -> Callable[[], object]:
    batch = side.puts(size)
    return lambda: side.engine.record.put(batch)


def _after_a_write(side: _Side, question: Callable[[], object]) -> Callable[[], object]:
    side.other.put(side.puts(1))
    return question


def _in_turns(
    sides: dict[str, _Side], rounds: int, prepared: Callable[[_Side], Callable[[], object]]
) -> dict[str, list[float]]:
    """Return the seconds of each side; the work of `prepared` itself is not timed."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 else list(reversed(sides))
        for name in order:
            work = prepared(sides[name])
            started = perf_counter()
            work()
            times[name].append(perf_counter() - started)
    return times


def _pair(what: str, values: dict[str, float]) -> dict[str, float]:
    named = {f"{what}: {name}": value for name, value in values.items()}
    return {**named, f"{what}: ratio": values["postgres"] / values["sqlite"]}


@contextmanager
def _server() -> Iterator[str]:
    """A server on this disk, which runs while it is used."""
    from tests.postgres_server import server

    with server(Path(tempfile.gettempdir())) as running:
        yield running.url()


if __name__ == "__main__":
    main()
