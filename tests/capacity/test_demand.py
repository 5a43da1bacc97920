"""How a demand is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity.demand import Backfill, Demand, amount, backfill, milliseconds, read_log
from core.errors import InputError


@pytest.mark.parametrize(
    ("text", "number"),
    [("12M", 12e6), ("400k", 4e5), ("1_000", 1000), ("2.5g", 2.5e9), (".5", 0.5), ("1,000", 1000)],
)
def test_amounts(text: str, number: float) -> None:
    assert amount(text, "--items") == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "many", "12 MM", "-3", "1e6", "nan"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InputError) as caught:
        amount(text, "--items")
    assert caught.value.where == "--items"
    assert "12M" in caught.value.mend


@pytest.mark.parametrize(("text", "number"), [("150ms", 150), (".2s", 200), ("150", 150)])
def test_times(text: str, number: float) -> None:
    assert milliseconds(text, "--p95") == pytest.approx(number)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3M photos/5d", Backfill(3e6, "photos", 120)),
        ("200k stories / 12h", Backfill(2e5, "stories", 12)),
        ("1000 Videos/1W", Backfill(1000, "videos", 168)),
    ],
)
def test_backfills(text: str, wanted: Backfill) -> None:
    assert backfill(text) == wanted


@pytest.mark.parametrize(
    "text", ["3M photos", "photos/5d", "3M birds/5d", "3M photos/5y", "0 photos/5d"]
)
def test_what_is_no_backfill(text: str) -> None:
    with pytest.raises(InputError):
        backfill(text)


@pytest.mark.parametrize(
    "demand",
    [Demand(0), Demand(5, burst=0.5), Demand(5, p95_ms=0), Demand(5, items=0), Demand(5, grows=-1)],
)
def test_what_nobody_can_ask(demand: Demand) -> None:
    with pytest.raises(InputError):
        demand.check()


@pytest.mark.parametrize("text", ["", "1.5", "one\ntwo", "1\nnan"])
def test_what_is_no_log(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_log(path)
    assert caught.value.where == str(path)


def test_a_log_is_moments(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("3.5\n1\n")
    assert read_log(path) == (3.5, 1.0)
