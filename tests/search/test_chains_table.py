"""What a search and the chain view show of stories: chain_cases.md, on the real engine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from core.items import PubStatus
from core.writes import SetStatus
from tests.search.case_table import Row, read_cases
from tests.search.room import BOTH, PHOTOS, READER, Room, story

ROWS = read_cases(Path(__file__).with_name("chain_cases.md"))
READERS = {"wire": READER, "photos": PHOTOS, "both": BOTH}
_STATES = {
    "kill": PubStatus.CANCELED,
    "withhold": PubStatus.WITHHELD,
    "free": PubStatus.USABLE,
}
_VERSION = re.compile(
    r"(?P<uri>\w+)/(?P<version>\d+)(?: of (?P<chain>\w+))?(?: for (?P<product>\w+))?"
    r"(?: embargo (?P<embargo>\d+)h)?(?: expires (?P<expiry>\d+)h)?"
)


def happen(room: Room, event: str, number: int) -> None:
    """One event of a case."""
    if found := re.fullmatch(r"(\d+)h later", event):
        room.now += timedelta(hours=int(found[1]))
    elif found := re.fullmatch(r"lift (\w+)", event):
        room.engine.set_status([SetStatus(found[1], lift_embargo=True)])
    elif found := re.fullmatch(r"(kill|withhold|free) (\w+)", event):
        room.engine.set_status([SetStatus(found[2], _STATES[found[1]])])
    else:
        written = _VERSION.fullmatch(event)
        assert written, f"no event: {event}"
        _write(room, written, number)
    room.engine.catch_up()


def _write(room: Room, written: re.Match[str], number: int) -> None:
    def until(hours: str | None) -> object:
        return None if hours is None else room.now + timedelta(hours=int(hours))

    room.put(
        story(
            written["uri"],
            "Ferry aground",
            version=int(written["version"]),
            chain=written["chain"] or written["uri"],
            products=(written["product"] or "wire",),
            embargoed=until(written["embargo"]),
            expires=until(written["expiry"]),
            when=number,
        )
    )


@pytest.mark.parametrize("query", ["", "ferry"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_story_is_one_hit_and_its_chain_is_opened(room: Room, row: Row, query: str) -> None:
    for number, event in enumerate(row.cells["what happens"].split(", ")):
        happen(room, event, number)
    reader = READERS[row.cells["reader"]]
    answer = room.ask(query, reader, facets=("type",))
    hits = {
        f"{hit.item.uri}/{hit.item.version}" + (f" ({hit.versions})" if hit.versions > 1 else "")
        for hit in answer.hits
    }
    wanted = {part for part in row.cells["hits"].split(", ") if part}
    assert hits == wanted
    assert answer.total.value == len(wanted) == sum(one.count for one in answer.facets["type"])
    chain = [
        f"{item.uri}/{item.version}" for item in room.engine.chain(row.cells["opened"], reader)
    ]
    assert chain == row.cells["chain view"].split()


def test_each_sentence_has_cases() -> None:
    groups = [row.group for row in ROWS]
    assert all(groups.count(group) >= 8 for group in set(groups))
    assert len(set(groups)) == 4
