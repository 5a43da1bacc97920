"""Decides which versions a story shows at a moment: one pure function.

The rule (design: story chain):
- An item's versions are read from the newest down. A version that is killed, withheld or expired
  hides every version of the item. An embargoed version is skipped, so that its predecessor stays
  visible until the embargo lifts. The first other version is the visible one.
- A version that comes after an explicit kill, withhold or embargo is recorded in that state: see
  `storage.record.holds`. So the rows alone decide here.
- An item belongs to the chain that its newest version names.
- The newest visible item of a chain is the story's head. Products do not matter here: a caller who
  may not see the head sees nothing of the story.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from core.items import PubStatus

VERSION_COLUMNS = "seq, uri, version, chain, pubstatus, versioncreated, embargoed, expires"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """`VERSION_COLUMNS` of a recorded version, which decide its visibility; times in
    microseconds.
    """

    seq: int
    uri: str
    version: int
    chain: str
    pubstatus: str
    versioncreated: int
    embargoed: int | None
    expires: int | None


@dataclass(frozen=True, slots=True)
class StoryView:
    """A chain at a moment: the seq of its head (0 if nothing is visible), the seqs of all versions
    that the chain view shows (the head, then newest first), and when this changes by itself (None:
    never).
    """

    head: int
    members: tuple[int, ...]
    changes_at: int | None


def story_view(chain: str, rows: Iterable[VersionRow], now: int) -> StoryView:
    """Return the chain's view at `now` (microseconds). `rows` are all versions of every item that
    has a version in the chain.
    """
    heads: list[VersionRow] = []
    members: list[VersionRow] = []
    moments: list[int] = []
    for versions in _by_uri([*rows]):
        if versions[0].chain != chain:
            continue
        shown = _shown(versions, now)
        moments.extend(_moments(versions, now))
        if shown:
            heads.append(shown[0])
            members.extend(shown)
    heads.sort(key=_recency, reverse=True)
    head = heads[0].seq if heads else 0
    members.sort(key=lambda row: (row.seq == head, *_recency(row)), reverse=True)
    return StoryView(
        head=head,
        members=tuple(row.seq for row in members) if heads else (),
        changes_at=min(moments, default=None),
    )


def _by_uri(rows: list[VersionRow]) -> Iterable[list[VersionRow]]:
    """Return the versions of each item, the newest first."""
    if len(rows) < 2:  # most stories have one version
        return [rows] if rows else []
    rows.sort(key=lambda row: (row.uri, -row.version))
    return [[*group] for _, group in groupby(rows, key=attrgetter("uri"))]


def members_and_view(
    chain: str, rows: Sequence[VersionRow], now: int
) -> tuple[StoryView, tuple[int, ...]]:
    """Return the chain's view, and the seqs of all versions of its items, which are the items whose
    newest version names it. `rows` as in `story_view`.
    """
    if len(rows) == 1:  # most stories have one version, and that shows by its own state alone
        (row,) = rows
        times = (row.embargoed, row.expires)
        if times == (None, None) and row.chain == chain and row.pubstatus == PubStatus.USABLE:
            return StoryView(row.seq, (row.seq,), None), (row.seq,)
    newest: dict[str, VersionRow] = {}
    for row in rows:
        if row.uri not in newest or row.version > newest[row.uri].version:
            newest[row.uri] = row
    own = tuple(row.seq for row in rows if newest[row.uri].chain == chain)
    return story_view(chain, rows, now), own


def _shown(versions: Sequence[VersionRow], now: int) -> list[VersionRow]:
    """Return the item's visible version and its predecessors, newest first, if any."""
    for place, row in enumerate(versions):
        if row.pubstatus != PubStatus.USABLE or _is_past(row.expires, now):
            return []
        if not _is_future(row.embargoed, now):
            return [
                older
                for older in versions[place:]
                if older.pubstatus == PubStatus.USABLE and not _is_future(older.embargoed, now)
            ]
    return []


def _moments(versions: Sequence[VersionRow], now: int) -> list[int]:
    times = [row.embargoed for row in versions] + [row.expires for row in versions]
    return [time for time in times if time is not None and time > now]


def _is_future(moment: int | None, now: int) -> bool:
    return moment is not None and moment > now


def _is_past(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now


def _recency(row: VersionRow) -> tuple[int, int]:
    return (row.versioncreated, row.seq)
