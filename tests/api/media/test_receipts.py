"""Whatever form an item leaves in, its account has a receipt, and so hears of a kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.media.customer import Customer, customer
from tests.conftest import new_folder

STORY, PICTURE = "urn:news:carrier", "urn:news:carried"


@pytest.fixture
def gazette() -> Iterator[Customer]:
    with customer(new_folder()) as made:
        made.served.room.put_documents([{"uri": PICTURE, "type": "picture"}, _story()], ["wire"])
        yield made


def _story() -> dict[str, object]:
    return {"uri": STORY, "headline": "Ferry", "associations": {"main": {"uri": PICTURE}}}


@pytest.mark.parametrize("path", [f"/content/{STORY}", f"/media/v/content/{STORY}"])
@pytest.mark.parametrize("form", ["json", "ninjs", "ninjs-1.4", "ninjs-3.1"])
def test_an_item_and_what_it_carries_are_received_in_each_form(
    gazette: Customer, path: str, form: str
) -> None:
    answer = gazette.get(path, format=form)
    assert (answer.status_code, PICTURE in answer.text) == (200, True)
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == {STORY, PICTURE}


@pytest.mark.parametrize("asked", [{}, {"rid": "main"}])
def test_a_picture_without_a_file_has_no_download(gazette: Customer, asked: dict[str, str]) -> None:
    """Its text in place of the file would be saved as a picture."""
    assert gazette.get(f"/media/v/content/{PICTURE}/download", **asked).status_code == 404
    assert gazette.get(f"/media/v/content/{STORY}/download", **asked).status_code == 200
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == {STORY}


@pytest.mark.parametrize("path", [f"/content/{STORY}", f"/media/v/content/{STORY}"])
@pytest.mark.parametrize("choice", ["include", "exclude"])
def test_a_carried_item_is_received_if_it_leaves(gazette: Customer, path: str, choice: str) -> None:
    told = gazette.get(path, **{choice: "associations.main"})
    received = {STORY, PICTURE} if choice == "include" else {STORY}
    assert (PICTURE in told.text) is (PICTURE in received)
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == received


def test_a_part_of_a_carried_item_is_received(gazette: Customer) -> None:
    told = gazette.get(f"/content/{STORY}", exclude="associations.main.uri").json()
    assert told["data"]["item"]["associations"]["main"]["type"] == "picture"
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == {STORY, PICTURE}


@pytest.mark.parametrize("path", ["/content/search", "/media/v/content/search"])
@pytest.mark.parametrize("choice", [{"include": "headline"}, {"exclude": "associations"}])
def test_a_list_without_what_it_carries_gives_no_receipt_for_it(
    gazette: Customer, path: str, choice: dict[str, str]
) -> None:
    assert PICTURE not in gazette.get(path, q="ferry", **choice).text
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == {STORY}


@pytest.mark.parametrize("form", ["nitf", "newsmlg2", "plain"])
def test_a_story_is_received_as_text(gazette: Customer, form: str) -> None:
    assert gazette.get(f"/media/v/content/{STORY}", format=form).status_code == 200
    assert set(gazette.receipts.received("gazette", [STORY, PICTURE])) == {STORY}
