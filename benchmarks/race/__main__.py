"""Dateline and other systems answer the same judged queries on one machine in one run.

    python -m benchmarks.race [SET …] [--short] [--rounds N] [--queries N]

`make race` makes the systems' environments first. SET is FOLDER[:SPLIT] of a judged set; the
default is four of the shared sets. What is not there is skipped, with a line that says why. The
page docs/race.md and its figure are written at the end, except with `--short` (the first set, one
round, 40 queries), which prints the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.interpreter import OtherInterpreter, other_interpreter
from benchmarks.machine import arguments, percentile, this_machine
from benchmarks.race.figure import race_svg
from benchmarks.race.handed import hand_out
from benchmarks.race.node import node_for_a_race
from benchmarks.race.page import Told, page
from benchmarks.race.sums import Asked, Lap, row_of
from benchmarks.race.systems import OURS, ROOT, SYSTEMS, System
from core.ports.models import TextEncoder
from dateline.build.models.served import load_models
from dateline.settings import configure
from eval.sets.corpus_place import shared_sets
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet

CLIENTS = (1, 8)
_SETS = ("scifact:test", "cacm", "vaswani", "checkthat2020:dev")
_SHORT = 40  # queries
_ENCODED = 100  # queries whose encoding is timed
_PAGE = ROOT / "docs" / "race.md"


@dataclass(slots=True)
class Race:
    """The laps of each system so far, by system and set. A system in `missing` has left the race,
    and none of its laps counts.
    """

    rounds: int
    queries: int
    node: Sequence[str]
    laps: dict[str, dict[str, Lap]] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def run(self, judged: JudgedSet, handed: Path) -> None:
        """Let every system answer one set."""
        racers: dict[str, OtherInterpreter] = {}

        def start(system: System) -> None:
            racers[system.name] = self._started(stack, system, judged, handed)

        def ask(system: System) -> None:
            self._ask(racers[system.name], self.laps[system.name][judged.name], judged)

        def weigh(system: System) -> None:
            answer = racers[system.name].ask({"do": "weigh"})
            lap = self.laps[system.name][judged.name]
            lap.own_bytes, lap.server_bytes = answer["own_bytes"], answer["server_bytes"]
            lap.disk_bytes = answer["disk_bytes"]

        with ExitStack() as stack:
            self._each(SYSTEMS, start)
            for turn in range(self.rounds):
                first = turn % len(SYSTEMS)
                self._each(SYSTEMS[first:] + SYSTEMS[:first], ask)
            self._each(SYSTEMS, weigh)

    def _each(self, systems: Sequence[System], do: Callable[[System], None]) -> None:
        """Do something with each system that is not missing; one whose process ends is missing
        from then on.
        """
        for system in systems:
            if system.name in self.missing:
                continue
            try:
                do(system)
            except (SystemExit, OSError):
                self.missing[system.name] = "its process ended, and said why on the error stream"
                print(f"out of the race: {system.name}", file=sys.stderr)

    def _started(
        self, stack: ExitStack, system: System, judged: JudgedSet, handed: Path
    ) -> OtherInterpreter:
        """Start a system, give it the documents of the set, and ask it each query once."""
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="race-")))
        command = system.command(handed, place, self.node)
        racer = stack.enter_context(other_interpreter(command, {"PYTHONPATH": str(ROOT)}))
        self.versions[system.name] = racer.versions
        ingest_s = racer.ask({"do": "ingest"})["seconds"]
        numbers = [*range(len(judged.queries))]
        answer = racer.ask({"do": "ask", "queries": numbers, "clients": 1})
        found = dict(zip(judged.queries, answer["found"], strict=True))
        asked = {count: Asked() for count in CLIENTS}
        lap = Lap(judged.documents, ingest_s, found, asked)
        self.laps.setdefault(system.name, {})[judged.name] = lap
        print(f"{judged.name}: {system.name} is ready", file=sys.stderr)
        return racer

    def _ask(self, racer: OtherInterpreter, lap: Lap, judged: JudgedSet) -> None:
        count = len(judged.queries)
        numbers = np.linspace(0, count - 1, min(count, self.queries)).astype(int).tolist()
        for clients in CLIENTS:
            answer = racer.ask({"do": "ask", "queries": numbers, "clients": clients})
            lap.asked[clients].add(answer["times"], answer["seconds"], answer["processor_s"])


def main() -> None:
    """Run the race."""
    chosen = _parser().parse_args()
    machine = this_machine()
    sets = [*_sets(chosen)]
    if not sets:
        print("no race: no judged set is there")
        return
    flags = {"data": str(chosen.data), "tagger": "", "second_encoder": "", "next_encoder": ""}
    encoder = load_models(configure(flags).settings).encoder
    rounds, queries = (1, _SHORT) if chosen.short else (chosen.rounds, chosen.queries)
    handed = [hand_out(judged, encoder, chosen.data / "race") for judged in sets]
    with node_for_a_race() as (node, no_node):
        race = Race(rounds, queries, node, missing=_not_here(no_node))
        for judged, folder in zip(sets, handed, strict=True):
            race.run(judged, folder)
    if OURS in race.missing:
        raise SystemExit(f"no race: {OURS} is out of it; the error stream says why")
    rows = {
        system.name: row_of(race.laps[system.name], race.laps[OURS], sets)
        for system in SYSTEMS
        if system.name not in race.missing
    }
    told = Told(
        made=datetime.now(UTC).date(),
        machine=machine,
        sets=sets,
        rounds=race.rounds,
        queries=race.queries,
        encode_ms=_encode_ms(encoder, sets),
        versions=race.versions,
        missing=race.missing,
    )
    text = page(rows, SYSTEMS, told)
    if chosen.short:
        print(text)
        return
    _PAGE.write_text(text, "utf-8")
    _PAGE.with_suffix(".svg").write_text(race_svg(rows), "utf-8")
    print(f"written: {_PAGE.relative_to(ROOT)} and its figure")


def _parser() -> argparse.ArgumentParser:
    parser = arguments(__doc__, json=False)
    parser.add_argument("sets", nargs="*", metavar="SET", help="FOLDER[:SPLIT]")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where vectors are kept")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--queries", type=int, default=50, help="of a set in a round, at most")
    parser.add_argument("--short", action="store_true", help="one set, one round, no page")
    return parser


def _sets(chosen: argparse.Namespace) -> Iterator[JudgedSet]:
    """Yield the judged sets that are there; say which are not."""
    shared = shared_sets()
    names = chosen.sets or [f"{shared}/{name}" for name in _SETS]
    for name in names[: 1 if chosen.short else None]:
        if shared is None and not chosen.sets:
            print(f"skipped: {Path(name).name}: no shared sets; DATELINE_SHARED names their folder")
        elif not Path(name.partition(":")[0]).is_dir():
            print(f"skipped: {name}: there is no such folder")
        else:
            yield read_judged_set(name)


def _not_here(no_node: str) -> dict[str, str]:
    """Return why systems are not there, by name, and say it."""
    reasons = {system.name: system.missing(no_node) for system in SYSTEMS}
    for name, why in reasons.items():
        if why:
            print(f"skipped: {name}: {why}")
    return {name: why for name, why in reasons.items() if why}


def _encode_ms(encoder: TextEncoder, sets: Sequence[JudgedSet]) -> float:
    """Return the median time to encode a query that is in no cache."""
    texts = [text for judged in sets for text in judged.queries.values()]
    times: list[float] = []
    for text in texts[:: max(1, len(texts) // _ENCODED)]:
        started = perf_counter()
        encoder.encode_queries([f"{text} "])  # not the text that was handed out
        times.append(perf_counter() - started)
    return percentile(times, 50)


if __name__ == "__main__":
    main()
