"""The book of spends: a day's cap holds over threads and processes, and nothing is forgotten."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from core.errors import CorruptError
from storage.databases import open_database
from storage.work.spend import StoredSpend
from tests.conftest import new_folder

DAY, NEXT = "2026-03-18", "2026-03-19"
NO_CAP = float("inf")
ROOT = Path(__file__).resolve().parents[3]
SPENDER = """
import sys
from pathlib import Path
from storage.databases import open_database
from storage.work.spend import StoredSpend
place = sys.argv[1]
book = StoredSpend(open_database(place if "://" in place else Path(place)))
print("open", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    if book.reserve(f"{sys.argv[2]}-{number}", "2026-03-18", 0.01, 1.0):
        print("kept", flush=True)
"""


def opened(place: Path | str) -> StoredSpend:
    return StoredSpend(open_database(place))


@pytest.fixture
def book(place: Path | str) -> Iterator[StoredSpend]:
    made = opened(place)
    yield made
    made.close()


def test_what_is_set_aside_is_spent_until_it_is_settled(book: StoredSpend) -> None:
    assert book.spent(DAY) == 0
    assert book.reserve("a", DAY, 0.75, 1.0)
    assert not book.reserve("b", DAY, 0.5, 1.0)
    assert book.spent(DAY) == 0.75
    book.settle("a", 0.25)
    assert book.spent(DAY) == 0.25
    assert book.reserve("b", DAY, 0.75, 1.0)
    assert not book.reserve("c", DAY, 0.000001, 1.0)
    assert book.reserve("c", NEXT, 1.0, 1.0)


def test_settling_twice_changes_nothing(book: StoredSpend) -> None:
    assert book.reserve("a", DAY, 0.5, NO_CAP)
    for _ in range(3):
        book.settle("a", 0.125)
        book.settle("never", 9.0)
    assert book.spent(DAY) == 0.125


def test_it_is_settled_on_the_day_of_its_reservation(book: StoredSpend) -> None:
    assert book.reserve("a", DAY, 0.5, NO_CAP)
    assert book.reserve("a", NEXT, 0.5, NO_CAP)  # the same key: nothing new
    book.settle("a", 0.75)
    assert (book.spent(DAY), book.spent(NEXT)) == (0.75, 0)


def test_a_restart_forgets_nothing(place: Path | str) -> None:
    for number in range(4):
        book = opened(place)
        assert book.reserve(f"{number}", DAY, 0.25, 1.0)
        book.close()
    book = opened(place)
    assert not book.reserve("more", DAY, 0.25, 1.0)
    book.close()


def test_cents_of_cents_add_up(book: StoredSpend) -> None:
    for number in range(70):  # 70 times .0001 is a little more than .007 in floats
        assert book.reserve(f"{number}", DAY, 0.0001, 0.007)
    assert book.spent(DAY) == pytest.approx(0.007, abs=1e-12)
    assert not book.reserve("more", DAY, 0.0001, 0.007)
    assert book.reserve("free", DAY, 0.0, 0.007)


def test_what_is_no_amount_is_refused(book: StoredSpend) -> None:
    for amount in (-0.1, float("nan"), float("inf"), 1e30):
        with pytest.raises(ValueError, match="spent"):
            book.reserve("a", DAY, amount, 1.0)
    assert book.spent(DAY) == 0


def test_threads_never_pass_the_cap(book: StoredSpend) -> None:
    kept: list[str] = []

    def spend(name: str) -> None:
        for number in range(40):
            key = f"{name}-{number}"
            if book.reserve(key, DAY, 0.01, 1.0):
                kept.append(key)
            assert book.spent(DAY) <= 1.0

    threads = [threading.Thread(target=spend, args=(f"{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 100
    assert book.spent(DAY) == 1.0


def spender(place: Path | str, name: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SPENDER, str(place), name, str(times)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_processes_never_pass_the_cap_and_all_open_a_new_book_at_once(place: Path | str) -> None:
    running = [spender(place, str(number), 60) for number in range(4)]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "open\n"
    outputs = [one.communicate("go\n", timeout=240)[0] for one in running]
    assert sum(output.count("kept") for output in outputs) == 100
    book = opened(place)
    assert book.spent(DAY) == 1.0
    book.close()


def test_what_a_killed_process_had_set_aside_stays_spent(place: Path | str) -> None:
    one = spender(place, "a", 1000)
    assert one.stdout is not None
    assert one.stdin is not None
    assert one.stdout.readline() == "open\n"
    one.stdin.write("go\n")
    one.stdin.flush()
    told = 0
    while told < 20:
        assert one.stdout.readline() == "kept\n"
        told += 1
    os.kill(one.pid, signal.SIGKILL)
    told += one.stdout.read().count("kept\n")
    one.wait(120)
    one.stdin.close()
    one.stdout.close()
    book = opened(place)
    assert 0.01 * told <= book.spent(DAY) <= 0.01 * (told + 1) + 1e-9
    book.close()


def test_a_damaged_book_is_refused(folder: Path) -> None:
    (folder / "spend").write_bytes(b"no database at all" * 100)
    with pytest.raises(CorruptError) as caught:
        opened(folder / "spend")
    assert str(folder / "spend") in str(caught.value)


class SpendModel(RuleBasedStateMachine):
    """The book against a dict of whole cents."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.book = opened(self.folder / "spend")
        self.open: dict[str, tuple[str, int]] = {}
        self.days: dict[str, int] = {}

    @rule(
        key=st.sampled_from("abcdef"),
        day=st.sampled_from([DAY, NEXT]),
        cents=st.integers(0, 60),
        cap=st.integers(0, 100),
    )
    def reserve(self, key: str, day: str, cents: int, cap: int) -> None:
        fits = key in self.open or self.days.get(day, 0) + cents <= cap
        assert self.book.reserve(key, day, cents / 100, cap / 100) is fits
        if fits and key not in self.open:
            self.open[key] = (day, cents)
            self.days[day] = self.days.get(day, 0) + cents

    @rule(key=st.sampled_from("abcdef"), cents=st.integers(0, 60))
    def settle(self, key: str, cents: int) -> None:
        self.book.settle(key, cents / 100)
        if key in self.open:
            day, reserved = self.open.pop(key)
            self.days[day] += cents - reserved

    @rule()
    def reopen(self) -> None:
        self.book.close()
        self.book = opened(self.folder / "spend")

    @rule(day=st.sampled_from([DAY, NEXT]))
    def look(self, day: str) -> None:
        assert self.book.spent(day) == pytest.approx(self.days.get(day, 0) / 100, abs=1e-9)

    def teardown(self) -> None:
        self.book.close()
        shutil.rmtree(self.folder)


TestSpendModel = SpendModel.TestCase
TestSpendModel.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
