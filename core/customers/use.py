"""What callers who agreed to it did: a query with the hits that it was shown, and their clicks.

Nothing here names a caller. `caller` is a keyed hash, and `words` are there only where enough
callers asked for the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a caller did with a hit, as UBI's `action_name`."""

    CLICK = "click"
    DOWNLOAD = "download"
    SAVE = "save"


@dataclass(frozen=True, slots=True)
class Event:
    """An action on a hit of the query `query_id`. `place` is the hit's rank on the first page."""

    query_id: str
    uri: str
    action: Action
    at: datetime
    place: int = 0


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """The first page of an answer. `query` is a keyed hash of its words; both hashes are in hex and
    change with the `period` of their secret. `hits` are the uris shown, in order, `total` is the
    number of strong hits, `unknown` says whether the query names somebody whom the archive does not
    know.

    In an experiment, `experiment` is its name, `arm` the profile that ranked ("" for a mixed list),
    and `unit` a hash of the caller that lives as long as the experiment. `teams` has a letter for
    each hit of a mixed list: a or b for who put it there, = for both.
    """

    id: str
    at: datetime
    period: int
    caller: str
    query: str
    profile: str
    hits: tuple[str, ...]
    total: int
    milliseconds: float
    unknown: bool = False
    experiment: str = ""
    arm: str = ""
    unit: str = ""
    teams: str = ""
    words: str = ""
    events: tuple[Event, ...] = ()

    def with_hits(self, seen: Collection[str]) -> LoggedQuery:
        """Return the query with "" for each hit that is not in `seen`, and without its events. The
        others keep their ranks.
        """
        events = tuple(event for event in self.events if event.uri in seen)
        hits = tuple(uri if uri in seen else "" for uri in self.hits)
        return replace(self, hits=hits, events=events)

    @property
    def first_click(self) -> Event | None:
        """The earliest click; None without one."""
        clicks = [event for event in self.events if event.action is Action.CLICK]
        return min(clicks, key=lambda event: (event.at, event.place), default=None)
