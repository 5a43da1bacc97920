"""Whether `dateline capacity plan` predicts what a service does: open-loop load against the model.

    python -m benchmarks.service.capacity_proof [--passages N] [--profiles A,B] [--searches 1,2]
                                                [--seconds N] [--rounds N] [--json]

For each profile and number of search processes, on one made archive:

- searches alone are measured as `dateline capacity measure` does, and the model is made of them;
- the curve of the machine's threads is measured once, by several clients;
- the model says what the service holds, with the load generator on the same machine, whose own
  processor time was measured in a light load before;
- Poisson load at 30, 60 and 85 % of that, in `rounds` that take turns: p50 and p95 of all rounds,
  beside what was predicted, with the least and most of a round;
- the knee: the most answers a second to clients that ask again at once, against the prediction;
- for a profile that reranks, p95 with half the deadline: predicted and measured.

A search's time runs from the moment at which it was due. Nothing else may run on the machine.
`off` is measured over predicted, less 1. A row that misses its aim is marked, and shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson

from benchmarks.machine import arguments, show, show_table, this_machine
from benchmarks.service.overload import Answer, Load
from capacity.measurements import MachineFacts, SearchTimes
from capacity.service_model import SEED, WAITING, ServiceModel, on_measured
from capacity.simulator import Played, poisson
from dateline.measuring.capacity import (
    PRODUCTS,
    Client,
    Grown,
    alone,
    curve_of,
    grow,
    machine_facts,
    machine_peaks,
    settle,
)
from dateline.measuring.served import started
from dateline.settings import Settings

LOADS = (0.3, 0.6, 0.85)
AIMS: Mapping[float, tuple[float, float]] = {
    0.3: (0.15, 0.25),
    0.6: (0.15, 0.25),
    0.85: (0.15, 0.4),
}
_KNEE = 0.15
_PLAYED = 4000
_FLOOD = 5000.0  # searches a second, which no machine answers
_LIGHT = 0.1  # of the capacity, to measure what the load itself takes


def main() -> None:
    """Run the proof, or (`--load`) the clients of one phase."""
    parser = arguments(__doc__)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--profiles", default="lexical,hybrid,hybrid-rerank")
    parser.add_argument("--searches", default="1,2", help="search processes")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one load in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.load:
        _load(*chosen.load)
        return
    machine = this_machine()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        grown = grow(settings, 0, chosen.passages, _say, with_calls=False)
        for searches in (int(each) for each in chosen.searches.split(",")):
            for profile in chosen.profiles.split(","):
                _say(f"{profile}, {searches} search processes")
                subject = Subject(settings, grown, profile, searches)
                rows += subject.rows(chosen.seconds, chosen.rounds)
    if chosen.json:
        show("capacity", {"rows": [asdict(row) for row in rows]}, machine, as_json=True)
        return
    show_table(Row.HEAD, [row.cells for row in rows])
    print(f"{sum(row.missed for row in rows)} of {len(rows)} miss their aim")
    print(machine)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, predicted and measured; `low` and `high` are of single rounds. With an aim of 0
    only the direction counts, which `met` says.
    """

    what: str
    predicted: float
    measured: float
    low: float
    high: float
    aim: float
    met: bool

    HEAD = ("", "predicted", "measured", "rounds", "off", "aim", "")

    @property
    def off(self) -> float:
        """Return measured over predicted, less 1."""
        return self.measured / self.predicted - 1

    @property
    def missed(self) -> bool:
        """Return whether the aim was missed."""
        return not self.met

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the row as texts."""
        return (
            self.what,
            f"{self.predicted:.1f}",
            f"{self.measured:.1f}",
            f"{self.low:.1f}–{self.high:.1f}",
            f"{self.off:+.0%}",
            f"{self.aim:.0%}" if self.aim else "direction",
            "" if self.met else "missed",
        )


class Subject:
    """One profile served by a number of search processes."""

    def __init__(self, settings: Settings, grown: Grown, profile: str, searches: int) -> None:
        self._settings, self._grown = settings, grown
        self._profile, self._searches = profile, searches
        self._name = f"{profile}, {searches} at once"
        self._reranks = profile.endswith("rerank")

    def rows(self, seconds: float, rounds: int) -> list[Row]:
        """Measure and predict; return every figure."""
        found: list[Row] = []
        with started(self._settings.data, PRODUCTS, self._variables()) as (pid, reached):
            key, url = str(reached.headers["x-api-key"]), str(reached.base_url)
            settle(pid)
            client = Client(url, key, self._grown.texts)
            client.ask(self._profile, 30)
            times, _ = alone(client, pid, self._profile, 150)
            machine = replace(
                machine_facts(machine_peaks()), curve=curve_of(client, times, seconds / 2)
            )
            asked = Asked(url, key, self._profile, self._grown.texts)
            times = self._with_load(machine, times, asked, seconds)
            most = self._most(machine, times)
            loads = [share * most for share in LOADS]
            heard = [[asked.at(rate, seconds) for rate in loads] for _ in range(rounds)]
            knee = max(asked.in_turn(clients, seconds / 2) for clients in (4, 8, 16))
        for place, share in enumerate(LOADS):
            played = self._played(machine, times, loads[place])
            answers = [round_[place] for round_ in heard]
            for percent, aim in zip((50, 95), AIMS[share], strict=True):
                found.append(
                    _row(
                        f"{self._name}, {share:.0%}: p{percent}, ms", played, answers, percent, aim
                    )
                )
        off = abs(knee / most - 1)
        found.append(
            Row(f"{self._name}: knee, a second", most, knee, knee, knee, _KNEE, off <= _KNEE)
        )
        if self._reranks:
            found.append(self._deadline(machine, times, loads[1], heard, seconds))
        return found

    def _variables(self, **more: str) -> dict[str, str]:
        return {"DATELINE_SEARCHES": str(self._searches), **more}

    def _with_load(
        self, machine: MachineFacts, times: SearchTimes, asked: Asked, seconds: float
    ) -> SearchTimes:
        """Return the searches with what the load generator takes for each, in place of what the
        measuring client took.
        """
        rate = _LIGHT * self._most(machine, times)
        return replace(times, load_ms=asked.cost_ms(rate, seconds))

    def _model(self, machine: MachineFacts, times: SearchTimes) -> ServiceModel:
        deadline = self._settings.rerank_deadline_ms if self._reranks else 0.0
        return ServiceModel(
            machine, [replace(times, passages=self._grown.passages)], deadline=deadline
        )

    def _most(self, machine: MachineFacts, times: SearchTimes) -> float:
        """Return the searches a second at which the machine, or every search process, is busy: what
        an overload gets answered, without refusals' cost.
        """
        return self._played(machine, times, _FLOOD).per_second

    def _played(
        self,
        machine: MachineFacts,
        times: SearchTimes,
        rate: float,
        *,
        deadline: float | None = None,
    ) -> Played:
        host = on_measured(machine, self._searches)
        model = self._model(machine, times)
        if deadline is not None:
            model.deadline = deadline
        arrivals = poisson(rate, _PLAYED, SEED)
        waiting = 16 if rate >= _FLOOD else WAITING
        passages = self._grown.passages
        return model.play(host, passages, arrivals, with_load=True, waiting=waiting)

    def _deadline(
        self,
        machine: MachineFacts,
        times: SearchTimes,
        rate: float,
        heard: Sequence[Sequence[Sequence[Answer]]],
        seconds: float,
    ) -> Row:
        """Return p95 with half the deadline, and whether it moved as predicted."""
        half = self._settings.rerank_deadline_ms / 2
        before = float(np.median([_ms(round_[1], 95) for round_ in heard]))
        more = self._variables(DATELINE_RERANK_DEADLINE_MS=str(half))
        with started(self._settings.data, PRODUCTS, more) as (pid, reached):
            settle(pid)
            key, url = str(reached.headers["x-api-key"]), str(reached.base_url)
            asked = Asked(url, key, self._profile, self._grown.texts)
            after = _ms(asked.at(rate, seconds), 95)
        predicted = self._played(machine, times, rate, deadline=half).at(95)
        whole = self._played(machine, times, rate).at(95)
        met = (predicted < 0.98 * whole) == (after < 0.98 * before)
        return Row(
            f"{self._name}: p95, half the deadline", predicted, after, after, after, 0.0, met
        )


def _row(
    what: str, played: Played, rounds: Sequence[Sequence[Answer]], percent: int, aim: float
) -> Row:
    found = [_ms(answers, percent) for answers in rounds]
    predicted, measured = played.at(percent), float(np.median(found))
    low, high = min(found), max(found)
    inside = low <= predicted <= high if percent == 50 else False  # or within the rounds' spread
    met = inside or abs(measured / predicted - 1) <= aim
    return Row(what, predicted, measured, low, high, aim, met)


def _ms(answers: Sequence[Answer], percent: int) -> float:
    good = [answer.seconds for answer in answers if answer.status == 200]
    return float(np.percentile(good, percent)) * 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """A service, and the queries that a process beside it sends."""

    url: str
    key: str
    profile: str
    texts: Sequence[str]

    def at(self, rate: float, seconds: float) -> list[Answer]:
        """Return the answers to searches at a rate."""
        return self._run("rate", rate, seconds)[0]

    def in_turn(self, clients: int, seconds: float) -> float:
        """Return answers a second to clients that ask again at once."""
        answers, _ = self._run("clients", clients, seconds)
        return sum(answer.status == 200 for answer in answers) / seconds

    def cost_ms(self, rate: float, seconds: float) -> float:
        """Return the processor time of a search in the load generator, without its start."""
        _, spent = self._run("rate", rate, seconds)
        _, start = self._run("rate", rate, 0.0)
        return max(0.05, (spent - start) * 1000 / (rate * seconds))

    def _run(self, how: str, amount: float, seconds: float) -> tuple[list[Answer], float]:
        words = [sys.executable, "-P", "-m", "benchmarks.service.capacity_proof", "--load"]
        root = Path(__file__).resolve().parents[2]
        before = os.times()
        done = subprocess.run(
            [*words, how, str(amount), str(seconds)],
            input=orjson.dumps(asdict(self)),
            stdout=subprocess.PIPE,
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        after = os.times()
        spent = sum(after[2:4]) - sum(before[2:4])
        return [Answer(**each) for each in orjson.loads(done.stdout)], spent


def _load(how: str, amount: str, seconds: str) -> None:
    """Send searches, and print the answers as JSON."""
    asked = Asked(**orjson.loads(sys.stdin.buffer.read()))
    load = Load(asked.url, 0, _requests(asked))
    if how == "rate":
        load.ask_at(float(amount), float(seconds))
    else:
        load.ask_in_turn(round(float(amount)), float(seconds))
    sys.stdout.buffer.write(orjson.dumps([asdict(answer) for answer in load.answers]))


def _requests(asked: Asked) -> Iterator[bytes]:
    """Yield the searches that `capacity measure` asks, others in each process."""
    for query in Client(asked.url, asked.key, asked.texts).queries(os.getpid()):
        path = "/content/search?" + urlencode({"q": query, "profile": asked.profile})
        yield f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {asked.key}\r\n\r\n".encode()


def _say(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
