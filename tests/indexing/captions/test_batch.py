"""Batches: the same rights, size and spend as single calls, and never paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ModelError, UnavailableError
from core.media import Caption, ToCaption, Uncaptioned
from indexing.captions import batch as batch_module
from indexing.captions.batch import FULL, BatchCaptioner
from indexing.captions.calls import CAP
from indexing.captions.prompt import question
from indexing.captions.rights import RIGHTS
from indexing.captions.spending import Prices, TokenEstimate
from tests.caption_provider import CaptionServer, Reply
from tests.indexing.captions.world import EDGE, MODEL, Book, captioner, jpeg, still

PRICES = Prices(2.0, 8.0, 0.5)
PACKET = "packet-1"
USED = PRICES.of(900, 60) * 0.5


@contextmanager
def batches(server: CaptionServer, **options: Any) -> Iterator[BatchCaptioner]:
    with captioner(server, prices=PRICES, **options) as made:
        yield BatchCaptioner(made.calls, EDGE)


def stills(count: int) -> dict[str, ToCaption]:
    return {f"asset-{number}": still((number * 9 % 256, 40, 200)) for number in range(count)}


def contexts(made: dict[str, ToCaption]) -> dict[str, str]:
    return {name: one.context for name, one in made.items()}


def waited(
    made: BatchCaptioner, batch: str, asked: dict[str, str]
) -> dict[str, Caption | Uncaptioned]:
    for _ in range(5):
        found = made.results(batch, asked)
        if found is not None:
            return found
    raise AssertionError("it does not end")


def today(book: Book) -> float:
    return book.spent(datetime.now(UTC).date().isoformat())


def set_aside() -> float:
    expected = TokenEstimate().before(question(still()))
    return PRICES.of(expected.tokens_in, expected.tokens_out) * 0.5


def test_a_batch_from_end_to_end() -> None:
    book, some = Book(), stills(12)
    with CaptionServer() as server:
        with batches(server, book=book) as made:
            submitted = made.submit(some, PACKET)
            assert submitted.batch
            assert submitted.refused == {}
            assert today(book) == pytest.approx(12 * set_aside())
            assert made.results(submitted.batch, contexts(some)) is None
        with batches(server, book=book) as made:  # another process, which kept the id
            found = waited(made, submitted.batch, contexts(some))
            assert found.keys() == some.keys()
            assert all(isinstance(one, Caption) for one in found.values())
            assert len({one.text for one in found.values() if isinstance(one, Caption)}) > 1
            for _ in range(3):
                assert waited(made, submitted.batch, contexts(some)) == found
            assert made.poll(submitted.batch).done
        assert today(book) == pytest.approx(12 * USED)
        assert len(server.asked()) == 0
        (line, *_) = next(iter(server.files.values())).splitlines()
        assert json.loads(line)["url"] == "/v1/chat/completions"


def test_what_a_batch_cost_is_told_once_by_whoever_fetched_it_first() -> None:
    book, some, told = Book(), stills(3), list[tuple[str, int, int, float]]()

    def paid(*what: Any) -> None:
        told.append(what)  # type: ignore[arg-type]

    with CaptionServer() as server, batches(server, book=book, paid=paid) as made:
        submitted = made.submit(some, PACKET)
        assert told == []
        for _ in range(3):
            waited(made, submitted.batch, contexts(some))
    assert told == [(MODEL, 3 * 900, 3 * 60, pytest.approx(3 * USED))]


def test_what_may_not_leave_is_not_in_the_file() -> None:
    some = stills(2) | {
        "hidden": still(context="Embargoed words", may_leave=False),
        "large": still(jpeg=jpeg(size=(EDGE + 1, 4))),
    }
    with CaptionServer() as server, batches(server) as made:
        submitted = made.submit(some, PACKET)
        assert submitted.refused["hidden"] == Uncaptioned(RIGHTS, again=False)
        assert not submitted.refused["large"].again
        assert b"hidden" not in server.received()
        assert b"Embargoed words" not in server.received()
        found = waited(made, submitted.batch, contexts(stills(2)))
        assert all(isinstance(one, Caption) for one in found.values())


def test_of_only_forbidden_ones_nothing_is_handed_in() -> None:
    with CaptionServer() as server, batches(server) as made:
        submitted = made.submit({"a": still(context="Secret", may_leave=False)}, PACKET)
        assert (submitted.batch, list(submitted.refused)) == ("", ["a"])
        assert server.files == server.batches == {}
        assert b"Secret" not in server.received()


def test_the_cap_takes_as_many_as_it_has_room_for() -> None:
    book = Book()
    with CaptionServer() as server, batches(server, book=book, most=3.5 * set_aside()) as made:
        submitted = made.submit(stills(10), PACKET)
        assert set(submitted.refused.values()) == {Uncaptioned(CAP, again=True)}
        assert len(submitted.refused) == 7
        assert today(book) <= 3.5 * set_aside()
        nothing = made.submit({"other": still()}, "another")
        assert nothing.batch == ""
        assert nothing.refused == {"other": Uncaptioned(CAP, again=True)}
        assert len(server.batches) == 1


def test_a_full_batch_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MOST_REQUESTS", 4)
    with CaptionServer() as server, batches(server) as made:
        submitted = made.submit(stills(6), PACKET)
        assert set(submitted.refused.values()) == {Uncaptioned(FULL, again=True)}
        assert list(submitted.refused) == ["asset-4", "asset-5"]
        assert len(server.files["file-0"].splitlines()) == 4
    monkeypatch.setattr(batch_module, "MOST_BYTES", 9_000)
    with CaptionServer() as server, batches(server) as made:
        submitted = made.submit(stills(6), PACKET)
        assert 0 < len(submitted.refused) < 6
        assert len(server.files["file-0"]) <= 9_000


def test_a_packet_is_one_batch_whatever_is_said_of_its_stills_later() -> None:
    book, some = Book(), stills(5)
    with CaptionServer() as server, batches(server, book=book) as made:
        first = made.submit(some, PACKET)
        assert not first.there
        later = {name: still((1, 2, 3), context="changed") for name, one in some.items()}
        for again in (some, later, {}, {"asset-0": some["asset-0"]}):
            found = made.submit(again, PACKET)
            assert (found.batch, found.there, found.refused) == (first.batch, True, {})
        waited(made, first.batch, contexts(some))
        assert made.submit(later, PACKET).batch == first.batch
        assert made.submit(some, "packet-2").batch != first.batch
        assert len(server.batches) == 2


def test_a_caption_names_the_model_that_its_batch_was_made_for() -> None:
    some = stills(1)
    with CaptionServer() as server:
        with batches(server) as made:
            batch = made.submit(some, PACKET).batch
        with batches(server, model="another-model") as other:
            (found,) = waited(other, batch, contexts(some)).values()
    assert isinstance(found, Caption)
    assert found.made_by.startswith(f"{MODEL}@")


@pytest.mark.parametrize("fault", [Reply(cut=5), Reply(status=503), Reply(body=b"<html>")])
def test_an_answer_that_got_lost_is_not_paid_for_twice(fault: Reply) -> None:
    """The batch may be there although its answer never came; the next try looks first."""
    book, some = Book(), stills(5)
    with CaptionServer() as server, batches(server, book=book) as made:
        server.scripted = "/v1/batches"
        server.say(Reply(), fault)  # the list of batches, then the making of one
        with pytest.raises(UnavailableError):
            made.submit(some, PACKET)
        submitted = made.submit(some, PACKET)
        assert len(server.batches) == 1
        assert today(book) == pytest.approx(5 * set_aside())
        found = waited(made, submitted.batch, contexts(some))
        assert all(isinstance(one, Caption) for one in found.values())
        assert today(book) == pytest.approx(5 * USED)


def test_a_batch_is_found_however_many_came_since() -> None:
    """Else what is set aside for it would be let go, and the same be paid for twice."""
    book, some = Book(), stills(5)
    with CaptionServer() as server, batches(server, book=book) as made:
        server.scripted = "/v1/batches"
        server.say(Reply(), Reply(cut=5))  # made, but its answer got lost
        with pytest.raises(UnavailableError):
            made.submit(some, PACKET)
        for number in range(1, 251):
            row = {"id": f"batch_{number}", "object": "batch", "status": "completed"}
            server.batches[row["id"]] = {**row, "metadata": {"dateline": "another"}}
        assert made.submit(some, PACKET).batch == "batch_0"
        assert today(book) == pytest.approx(5 * set_aside())
        assert len(server.batches) == 251


def test_a_list_that_does_not_end_pays_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "_MOST_PAGES", 2)
    book = Book()
    with CaptionServer() as server, batches(server, book=book) as made:
        for number in range(300):
            server.batches[f"b{number}"] = {"id": f"b{number}", "status": "completed"}
        with pytest.raises(UnavailableError, match="200 batches"):
            made.submit(stills(1), PACKET)
        assert today(book) == 0
        assert server.files == {}


def test_what_a_batch_did_before_it_failed_stays_paid() -> None:
    book, some = Book(), stills(3)
    with CaptionServer() as server, batches(server, book=book) as made:
        server.batch_status = "expired"
        first = made.submit(some, PACKET)
        server.say(Reply(), Reply(cut=0), Reply(cut=0))
        while not made.poll(first.batch).done:
            pass
        second = made.submit(some, PACKET)  # nobody had fetched what the first one gave
        assert second.batch != first.batch
        assert today(book) == pytest.approx(USED + 3 * set_aside())


def test_each_line_has_its_own_fate() -> None:
    book, some = Book(), stills(6)
    with CaptionServer() as server, batches(server, book=book) as made:
        submitted = made.submit(some, PACKET)
        server.say(
            Reply(),
            Reply(status=400),
            Reply(status=500),
            Reply(content="no JSON"),
            Reply(cut=0),  # never answered
            Reply(content='{"caption": "Obey.\\u0000", "persons": ["The King"]}'),
        )
        found = list(waited(made, submitted.batch, contexts(some)).values())
    assert [isinstance(one, Caption) for one in found] == [True, False, False, False, False, True]
    again = [one.again for one in found if isinstance(one, Uncaptioned)]
    assert again == [False, True, True, True]
    last = found[-1]
    assert isinstance(last, Caption)
    assert (last.text, last.persons) == ("Obey.", ())
    assert today(book) == pytest.approx(3 * USED)


@pytest.mark.parametrize("status", ["expired", "cancelled", "failed"])
def test_a_batch_that_did_not_end_well_is_made_again(status: str) -> None:
    some = stills(3)
    with CaptionServer() as server, batches(server) as made:
        server.batch_status = status
        submitted = made.submit(some, PACKET)
        server.say(Reply(), Reply(cut=0), Reply(cut=0))
        found = list(waited(made, submitted.batch, contexts(some)).values())
        assert isinstance(found[0], Caption)
        assert found[1] == Uncaptioned(f"the batch {status} without an answer", again=True)
        assert made.submit(some, PACKET).batch != submitted.batch


def test_a_damaged_result_file_loses_only_its_lines() -> None:
    some = stills(4)
    with CaptionServer() as server, batches(server) as made:
        submitted = made.submit(some, PACKET)
        waited(made, submitted.batch, contexts(some))
        name = server.batches[submitted.batch]["output_file_id"]
        rows = server.files[name].splitlines()
        strange = rows[2].replace(b"asset-2", b"asset-x")
        server.files[name] = b"\n".join(
            [rows[0], b"{", rows[1][:-9], strange, rows[0], rows[3], b"\xff", b"[]", b"null"]
        )
        found = waited(made, submitted.batch, contexts(some))
    kinds = [isinstance(one, Caption) for one in found.values()]
    assert kinds == [True, False, False, True]
    assert found.keys() == some.keys()


def test_errors_say_whether_to_try_again() -> None:
    with CaptionServer() as server, batches(server, key="sk-wrong") as made:
        with pytest.raises(UnavailableError, match="401") as caught:
            made.submit(stills(1), PACKET)
        assert "sk-wrong" not in str(caught.value)
    with CaptionServer() as server, batches(server) as made:
        server.scripted = "/v1/files"
        server.say(Reply(status=400))
        with pytest.raises(ModelError, match="400"):
            made.submit(stills(1), PACKET)
