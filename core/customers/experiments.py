"""Versions of ranking profiles, which of them is in force, and experiments between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Way(StrEnum):
    """How two versions are compared: in one mixed list, or by callers in two groups."""

    INTERLEAVE = "interleave"
    AB = "ab"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Version `candidate` of a profile against version `base` of it. `secret` decides which caller
    is in which group, and is empty once the experiment is over; `outcome` is then what was found,
    as JSON.
    """

    name: str
    way: Way
    profile: str
    base: int
    candidate: int
    started: datetime
    stopped: datetime | None = None
    secret: bytes = field(default=b"", repr=False)
    outcome: str = ""

    @property
    def base_name(self) -> str:
        """The name by which the base ranks."""
        return exactly(self.profile, self.base)

    @property
    def candidate_name(self) -> str:
        """The name by which the candidate ranks."""
        return exactly(self.profile, self.candidate)


@dataclass(frozen=True, slots=True)
class Version:
    """Version `number` of a profile: changes of the profile as the settings have it. Version 0 has
    no changes and is always there.
    """

    profile: str
    number: int
    changes: Mapping[str, str]
    made: datetime


@dataclass(frozen=True, slots=True)
class VersionBook:
    """Every version by its exact name, the number in force of each profile that is not at 0, and
    the experiment that runs.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    in_force: Mapping[str, int] = field(default_factory=dict)
    running: Experiment | None = None


def exactly(profile: str, number: int) -> str:
    """Return the name of one version of a profile, whichever is in force, such as `hybrid@2`."""
    return f"{profile}@{number}"
