"""Which version a story shows: a table to be read. Versions are written "uri/version"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from storage.record.visibility import VersionRow, story_view

NOW, EARLIER, LATER, MUCH_LATER = 1000, 900, 1100, 1200


def usable(name: str, created: int = 0, chain: str = "story") -> VersionRow:
    uri, _, version = name.partition("/")
    number = int(version)
    return VersionRow(0, uri, number, chain, "usable", created or 100 + number, None, None)


def canceled(name: str, created: int = 0) -> VersionRow:
    return replace(usable(name, created), pubstatus="canceled")


def withheld(name: str, created: int = 0) -> VersionRow:
    return replace(usable(name, created), pubstatus="withheld")


def embargoed(name: str, until: int, created: int = 0) -> VersionRow:
    return replace(usable(name, created), embargoed=until)


def expiring(name: str, at: int, created: int = 0) -> VersionRow:
    return replace(usable(name, created), expires=at)


@dataclass(frozen=True)
class Case:
    """Versions in the order of writing, and what the chain view "story" is at NOW."""

    name: str
    rows: tuple[VersionRow, ...]
    head: str = ""
    members: tuple[str, ...] = ()
    changes_at: int | None = None


TABLE = [
    # --- one item
    Case("no versions", ()),
    Case("one version", (usable("a/1"),), "a/1", ("a/1",)),
    Case("the newest version wins", (usable("a/1"), usable("a/2")), "a/2", ("a/2", "a/1")),
    Case(
        "the number decides, not the date; the head comes first, the rest by date",
        (
            usable("a/1", created=500),
            usable("a/2", created=600),
            usable("a/3", created=400),
        ),
        "a/3",
        ("a/3", "a/2", "a/1"),
    ),
    Case("a kill", (canceled("a/1"),)),
    Case("a kill of the newest version covers the older", (usable("a/1"), canceled("a/2"))),
    Case("so does a withhold", (usable("a/1"), withheld("a/2"))),
    Case(
        "a new version after a kill shows; the killed one is in no view",
        (canceled("a/1"), usable("a/2")),
        "a/2",
        ("a/2",),
    ),
    # --- embargo
    Case("an embargo", (embargoed("a/1", LATER),), changes_at=LATER),
    Case("an embargo that has lifted", (embargoed("a/1", EARLIER),), "a/1", ("a/1",)),
    Case("an embargo lifts at its very moment", (embargoed("a/1", NOW),), "a/1", ("a/1",)),
    Case(
        "an embargoed version leaves its predecessor",
        (usable("a/1"), embargoed("a/2", LATER)),
        "a/1",
        ("a/1",),
        LATER,
    ),
    Case(
        "two embargoed versions leave the last free one; the first to lift counts",
        (usable("a/1"), embargoed("a/2", LATER), embargoed("a/3", MUCH_LATER)),
        "a/1",
        ("a/1",),
        LATER,
    ),
    Case(
        "an older version under embargo is not in the view of the newer",
        (embargoed("a/1", LATER), usable("a/2")),
        "a/2",
        ("a/2",),
        LATER,
    ),
    Case(
        "behind an embargoed version a kill still hides",
        (usable("a/1"), canceled("a/2"), embargoed("a/3", LATER)),
        changes_at=LATER,
    ),
    Case(
        "killed while under embargo: hidden at once",
        (usable("a/1"), replace(embargoed("a/2", LATER), pubstatus="canceled")),
        changes_at=LATER,
    ),
    # --- expiry
    Case("not expired yet", (expiring("a/1", LATER),), "a/1", ("a/1",), LATER),
    Case("expired", (expiring("a/1", EARLIER),)),
    Case("expires at its very moment", (expiring("a/1", NOW),)),
    Case("an expired version covers the older", (usable("a/1"), expiring("a/2", EARLIER))),
    Case(
        "a newer version without expiry shows on",
        (expiring("a/1", EARLIER), usable("a/2")),
        "a/2",
        ("a/2", "a/1"),
    ),
    # --- write-throughs: several items, one story
    Case(
        "the newest write-through is the head",
        (usable("a/1", created=100), usable("b/1", created=200)),
        "b/1",
        ("b/1", "a/1"),
    ),
    Case(
        "of two at one moment the one written last",
        (usable("b/1", created=100), usable("a/1", created=100)),
        "a/1",
        ("a/1", "b/1"),
    ),
    Case(
        "a kill of the newest write-through gives the story back to the one before",
        (usable("a/1", created=100), canceled("b/1", created=200)),
        "a/1",
        ("a/1",),
    ),
    Case(
        "a kill of an older one leaves the head",
        (canceled("a/1", created=100), usable("b/1", created=200)),
        "b/1",
        ("b/1",),
    ),
    Case(
        "an embargoed write-through leaves the one before",
        (usable("a/1", created=100), embargoed("b/1", LATER, created=200)),
        "a/1",
        ("a/1",),
        LATER,
    ),
    Case(
        "a correction of an older write-through is newer than the newest",
        (usable("a/1", created=100), usable("b/1", created=200), usable("a/2", created=300)),
        "a/2",
        ("a/2", "b/1", "a/1"),
    ),
    Case("all killed", (canceled("a/1"), canceled("b/1"))),
    # --- an item that goes to another story
    Case(
        "an item that left is not in the view",
        (usable("a/1"), replace(usable("a/2"), chain="other"), usable("b/1")),
        "b/1",
        ("b/1",),
    ),
    Case(
        "an item that came brings its versions along",
        (replace(usable("a/1"), chain="other"), usable("a/2")),
        "a/2",
        ("a/2", "a/1"),
    ),
    Case(
        "it has left even while the version that says so is under embargo",
        (usable("a/1"), replace(embargoed("a/2", LATER), chain="other")),
    ),
]


def named(row: VersionRow) -> str:
    return f"{row.uri}/{row.version}"


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_story_shows(case: Case) -> None:
    rows = [replace(row, seq=place + 1) for place, row in enumerate(case.rows)]
    names = {row.seq: named(row) for row in rows}
    view = story_view("story", reversed(rows), NOW)
    assert names.get(view.head, "") == case.head
    assert tuple(names[seq] for seq in view.members) == case.members
    assert view.changes_at == case.changes_at
