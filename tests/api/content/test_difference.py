"""`GET /content/{uri}/diff`: what changed between two versions that the caller may see."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.content.difference import difference
from core.callers import OPERATOR
from core.items import PubStatus
from core.writes import SetStatus
from tests.api.media.customer import Customer, customer
from tests.conftest import new_folder

STORY, PICTURE = "urn:news:carrier", "urn:news:carried"


@pytest.fixture
def gazette() -> Iterator[Customer]:
    with customer(new_folder()) as made:
        room = made.served.room
        room.put_documents([{"uri": PICTURE, "type": "picture"}], ["wire"])
        room.put_documents([_story(1, "One\nTwo\nThree")], ["wire"])
        room.put_documents([_story(2, "One\nTwo", headline="Theirs")], ["premium"])
        more = {"headline": "Ferry aground", "associations": {"main": {"uri": PICTURE}}}
        room.put_documents([_story(3, "One\n2\nThree\nFour", **more)], ["wire"])
        yield made


def _story(version: int, text: str, **more: Any) -> dict[str, Any]:
    return {"uri": STORY, "version": version, "headline": "Ferry", "body_text": text, **more}


def test_fields_and_lines_that_differ_are_told(gazette: Customer) -> None:
    answer = gazette.get(f"/content/{STORY}/diff", **{"from": 1})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert (data["from"]["version"], data["to"]["version"]) == (1, 3)
    assert data["fields"]["headline"] == {"from": "Ferry", "to": "Ferry aground"}
    assert data["fields"]["associations"]["from"] is None
    assert data["body"] == [
        {"line": 2, "removed": ["Two"], "added": ["2"]},
        {"line": 4, "removed": [], "added": ["Four"]},
    ]
    same = gazette.get(f"/content/{STORY}/diff", **{"from": 3, "to": 3}).json()["data"]
    assert (same["fields"], same["body"]) == ({}, [])


def test_both_versions_and_what_they_carry_are_received(gazette: Customer) -> None:
    gazette.get(f"/content/{STORY}/diff", **{"from": 1, "to": 3})
    received = gazette.receipts.received("gazette", [STORY, PICTURE])
    assert set(received) == {STORY, PICTURE}


@pytest.mark.parametrize("numbers", [{"from": 2}, {"from": 9}, {"from": 1, "to": 2}])
def test_a_version_that_the_key_may_not_see_does_not_exist(
    gazette: Customer, numbers: dict[str, int]
) -> None:
    assert gazette.get(f"/content/{STORY}/diff", **numbers).status_code == 404
    assert not gazette.receipts.received("gazette", [STORY])


def test_a_killed_item_has_no_difference(gazette: Customer) -> None:
    gazette.served.room.set_status([SetStatus(STORY, PubStatus.CANCELED)], OPERATOR)
    killed = gazette.get(f"/content/{STORY}/diff", **{"from": 1})
    unknown = gazette.get("/content/urn:news:never/diff", **{"from": 1})
    assert killed.status_code == unknown.status_code == 404


def test_the_version_to_compare_with_is_named(gazette: Customer) -> None:
    assert gazette.get(f"/content/{STORY}/diff").status_code == 400
    assert gazette.get(f"/content/{STORY}/diff", **{"from": "x"}).status_code == 400


_TEXTS = st.lists(st.sampled_from("abc"), max_size=9).map("\n".join)


@given(_TEXTS, _TEXTS)
def test_the_changed_lines_make_one_text_of_the_other(old: str, new: str) -> None:
    lines, moved = old.splitlines(), 0
    for change in difference({"body_text": old}, {"body_text": new})["body"]:
        start = change["line"] - 1 + moved
        end = start + len(change["removed"])
        assert lines[start:end] == change["removed"]
        lines[start:end] = change["added"]
        moved += len(change["added"]) - len(change["removed"])
    assert lines == new.splitlines()


def test_long_texts_are_not_compared_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("compared line by line")

    monkeypatch.setattr(SequenceMatcher, "get_opcodes", refuse)
    old = ["same", *(f"{n}" for n in range(600)), "end"]
    new = ["same", *(f"{-n}" for n in range(700)), "end"]
    (change,) = difference({"body_text": "\n".join(old)}, {"body_text": "\n".join(new)})["body"]
    assert (change["line"], len(change["removed"]), len(change["added"])) == (3, 599, 699)
