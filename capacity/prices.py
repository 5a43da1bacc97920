"""Prices with their date and source. A plan says how old they are."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from capacity.instances import Instance
from core.errors import InputError

HOURS = 730.0  # of a month, as AWS's own calculator has it
SECONDS = HOURS * 3600
_OLD_DAYS = 90
_NEEDED = (
    *("ec2", "spot", "disk", "traffic", "balancer", "postgres"),
    *("sagemaker", "lambda", "opensearch", "captions"),
)


@dataclass(frozen=True, slots=True)
class Prices:
    """A file of prices: dollars, in the form of `prices.toml`."""

    region: str
    written: date
    source: str
    checked: bool
    by_name: Mapping[str, Any]

    def instance_hour(self, instance: Instance) -> float | None:
        """Return dollars for an hour of an instance; None if its family has no price."""
        of_large = self.by_name["ec2"].get(instance.family)
        return None if of_large is None else float(of_large) * instance.vcpus / 2

    def sagemaker_hour(self, instance: Instance) -> float | None:
        """Return dollars for an hour of `ml.INSTANCE`; None if its family has no price there."""
        of_large = self.by_name["sagemaker"].get(instance.family)
        return None if of_large is None else float(of_large) * instance.vcpus / 2

    def of(self, group: str, name: str) -> float:
        """Return one price."""
        return float(self.by_name[group][name])

    def days_old(self, today: date) -> int:
        """Return the age in days."""
        return (today - self.written).days

    def age(self, today: date) -> str:
        """Return what a plan says of the prices' age."""
        old = self.days_old(today)
        known = "" if self.checked else ", not checked"
        doubt = " Refresh them: prices change." if old > _OLD_DAYS else ""
        from_ = f"{self.written}: {self.source}"
        return f"Prices of {self.region}, {old} days old ({from_}){known}.{doubt}"


def read_prices(path: Path | None = None) -> Prices:
    """Return the prices in a file, or those that ship. Raises InputError."""
    where = "prices.toml" if path is None else str(path)
    try:
        tree = tomllib.loads(prices_text(path))
    except ValueError as error:
        raise InputError(f"can't be read: {error}", where=where) from error
    missing = [name for name in ("region", "written", "source", *_NEEDED) if name not in tree]
    if missing or not isinstance(tree["written"], date):
        what = f"lacks {', '.join(missing)}" if missing else "`written` is no date"
        mend = "take the form of `dateline capacity prices`"
        raise InputError(what, where=where, mend=mend)
    wrong = [place for place, value in _numbers(tree) if value < 0]
    if wrong:
        raise InputError(f"a price below 0: {wrong[0]}", where=where)
    checked = bool(tree.get("checked", False))
    return Prices(str(tree["region"]), tree["written"], str(tree["source"]), checked, tree)


def prices_text(path: Path | None = None) -> str:
    """Return the file of prices, or the one that ships. Raises InputError."""
    if path is None:
        return (resources.files("capacity") / "prices.toml").read_text("utf-8")
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(path)) from error


def _numbers(tree: Mapping[str, Any], place: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{place}{name}.")
        elif isinstance(value, int | float):
            found.append((f"{place}{name}", float(value)))
    return found
