"""Prices, their dates, and the files that they come from."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from capacity.instances import instances
from capacity.prices import prices_text, read_prices
from core.errors import InputError


def test_the_prices_that_ship_say_when_they_were_written_and_that_nobody_checked_them() -> None:
    prices = read_prices()
    later = prices.written + timedelta(days=100)
    assert prices.days_old(later) == 100
    assert not prices.checked
    assert str(prices.written) in prices.age(later)
    assert "100 days" in prices.age(later)


def test_every_family_has_a_price_and_a_size_costs_by_its_threads() -> None:
    prices = read_prices()
    hours = {each.name: prices.instance_hour(each) for each in instances()}
    assert all(hour is not None and hour > 0 for hour in hours.values())
    assert hours["c6i.4xlarge"] == pytest.approx(8 * (hours["c6i.large"] or 0))


@pytest.mark.parametrize(
    "change",
    [
        ("written = 2026-12-01", 'written = "soon"'),
        ("[traffic]", "[roads]"),
        ("gp3_gb_month = 0.08", "gp3_gb_month = -0.08"),
        ("[ec2]", "[ec2"),
    ],
)
def test_a_file_that_is_no_file_of_prices(change: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(prices_text().replace(*change))
    with pytest.raises(InputError) as caught:
        read_prices(path)
    assert caught.value.where == str(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_prices(tmp_path / "none.toml")


def test_the_date_is_a_date() -> None:
    assert isinstance(read_prices().written, date)
