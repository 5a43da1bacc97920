"""The archive's clock against steps of the system's: what hangs on it must not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.callers import Caller
from core.items import Item, ItemType
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.record.steady_clock import FILE, SMALL_STEP_S, SteadyClock, TimeSources

START = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
READER = Caller("reader", frozenset({"wire"}))


@dataclass(slots=True)
class Machine:
    """A machine's clocks: time passes on both, a step moves the system's alone."""

    system: datetime = START
    since_start: timedelta = timedelta(hours=5)
    boot: str = "first"

    def sources(self) -> TimeSources:
        return TimeSources(
            lambda: round((self.system - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e9),
            lambda: round(self.since_start.total_seconds() * 1e9),
            lambda: self.boot,
        )

    def clock(self, folder: Path) -> SteadyClock:
        return SteadyClock(folder, self.sources())

    def passes(self, time: timedelta) -> None:
        self.system += time
        self.since_start += time

    def starts_again(self, at: datetime) -> None:
        self.system, self.since_start, self.boot = at, timedelta(seconds=20), self.boot + "'"


@pytest.mark.parametrize("step", [HOUR, YEAR, -HOUR, -YEAR])
def test_a_step_is_held_until_it_is_confirmed(tmp_path: Path, step: timedelta) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    assert clock() == START
    machine.system += step
    machine.passes(HOUR)
    assert clock() == START + HOUR
    assert clock.held_s == step.total_seconds()
    assert clock.confirm() == clock() == START + HOUR + step
    assert clock.held_s == 0


def test_small_steps_are_followed_and_never_go_back(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    machine.system += timedelta(seconds=SMALL_STEP_S - 1)
    ahead = clock()
    assert ahead == machine.system
    machine.system -= timedelta(seconds=SMALL_STEP_S - 2)
    assert clock() == ahead
    machine.passes(HOUR)
    assert clock() == machine.system


def test_a_process_that_starts_after_the_step_holds_it_too(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path)()
    machine.system += HOUR
    later = machine.clock(tmp_path)
    assert later() == START


def test_a_confirmation_reaches_the_other_processes(tmp_path: Path) -> None:
    machine = Machine()
    one, other = machine.clock(tmp_path), machine.clock(tmp_path)
    assert one() == other() == START
    machine.system += YEAR
    machine.passes(timedelta(minutes=5))
    assert one() == other() == START + timedelta(minutes=5)
    other.confirm()
    assert one() == machine.system
    machine.passes(timedelta(minutes=5))  # long enough for either to write what it trusts
    assert (one(), other(), machine.clock(tmp_path)()) == (machine.system,) * 3


@pytest.mark.parametrize(
    ("step", "restarted_at", "trusted"),
    [
        (timedelta(), START + 2 * HOUR, START + 2 * HOUR),  # nothing to compare with: believed
        (timedelta(), START - YEAR, START),  # before what is known: held
        (YEAR, START + YEAR + HOUR, START),  # a held step does not become true by a restart
    ],
)
def test_over_a_restart_of_the_machine(
    tmp_path: Path, step: timedelta, restarted_at: datetime, trusted: datetime
) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    clock()
    machine.system += step
    clock()
    machine.starts_again(restarted_at)
    assert machine.clock(tmp_path)() == trusted


def test_a_held_step_stays_held_until_somebody_confirms_it_after_a_restart(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    clock()
    machine.system += YEAR
    clock()
    machine.starts_again(START + YEAR + HOUR)
    for _ in range(2):  # the second process reads what the first one kept
        again = machine.clock(tmp_path)
        assert again() == START
        assert again.held_s == (YEAR + HOUR).total_seconds()
    machine.passes(HOUR)
    assert again.confirm() == START + YEAR + 2 * HOUR
    assert (again.held_s, machine.clock(tmp_path).held_s) == (0, 0)


def test_a_torn_file_is_none(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path)()
    (tmp_path / FILE).write_bytes(b'{"boot":"fi')
    assert machine.clock(tmp_path)() == START


@pytest.mark.parametrize("folder", ["not there", "file"])
def test_where_nothing_can_be_kept_time_goes_on(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    machine = Machine()
    clock = machine.clock(tmp_path / folder)
    machine.passes(HOUR)
    assert clock() == START + HOUR


def test_an_embargo_is_not_lifted_and_what_expired_stays_hidden(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    engine = EmbeddedEngine(EmbeddedSettings(tmp_path, {}, background=False), clock)
    try:
        engine.put([PutItem(_item("urn:early", embargoed=START + HOUR))])
        engine.put([PutItem(_item("urn:late", expires=START + HOUR))])

        def shown() -> list[bool]:
            return [engine.item(uri, READER) is not None for uri in ("urn:early", "urn:late")]

        machine.system += YEAR
        assert shown() == [False, True]
        machine.system -= YEAR
        machine.passes(2 * HOUR)
        assert shown() == [True, False]
        machine.system -= YEAR
        assert shown() == [True, False]
    finally:
        engine.close()


def _item(uri: str, **members: datetime) -> Item:
    return Item(uri, 1, ItemType.TEXT, START, START, uri, products=("wire",), **members)  # type: ignore[arg-type]
