"""The spend cap of a day, with a real provider behind it: it stops, cleanly, and is not passed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import StorageFullError
from core.media import Caption, Uncaptioned
from indexing.captions.calls import CAP
from indexing.captions.prompt import question
from indexing.captions.spending import Prices, Spending, TokenEstimate, Usage
from storage.databases import open_database
from storage.work.spend import StoredSpend
from tests.caption_provider import CaptionServer, Reply
from tests.indexing.captions.world import Book, captioner, still

PRICES = Prices(2.0, 8.0)
USED = PRICES.of(900, 60)  # what the server counts for an answer


def set_aside() -> float:
    expected = TokenEstimate().before(question(still()))
    return PRICES.of(expected.tokens_in, expected.tokens_out)


def today(book: Book | StoredSpend) -> float:
    return book.spent(datetime.now(UTC).date().isoformat())


def test_what_was_used_is_what_is_spent() -> None:
    book = Book()
    with CaptionServer() as server, captioner(server, book=book, prices=PRICES) as made:
        made.caption([still()] * 5)
    assert today(book) == pytest.approx(5 * USED)
    assert book.open == {}


def test_a_counter_gets_what_the_book_gets_also_of_an_answer_that_holds_no_caption() -> None:
    book, told = Book(), list[float]()
    with CaptionServer() as server:
        server.say(Reply(finish="content_filter"))

        def paid(model: str, tokens_in: int, tokens_out: int, price: float) -> None:
            told.append(price)

        with captioner(server, book=book, prices=PRICES, paid=paid, at_once=1) as made:
            made.caption([still()] * 3)
    assert len(told) == 3
    assert sum(told) == pytest.approx(today(book))


def test_the_cap_stops_cleanly() -> None:
    book = Book()
    most = set_aside() + 3.5 * USED  # room for one more until three were settled
    with CaptionServer() as server:
        with captioner(server, book=book, prices=PRICES, most=most, at_once=1) as made:
            found = made.caption([still()] * 50)
            assert len(server.asked()) == 4
            assert [isinstance(one, Caption) for one in found] == [True] * 4 + [False] * 46
            assert set(found[4:]) == {Uncaptioned(CAP, again=True)}
        assert today(book) == pytest.approx(4 * USED)
        with captioner(server, book=book, prices=PRICES, most=most) as made:
            assert made.caption([still()]) == (Uncaptioned(CAP, again=True),)  # after a restart
        assert len(server.asked()) == 4


def test_a_cap_of_nothing_asks_nothing() -> None:
    with CaptionServer() as server, captioner(server, most=0.0) as made:
        assert made.caption([still()]) == (Uncaptioned(CAP, again=True),)
        assert server.requests == []


def test_tomorrow_is_another_day() -> None:
    book = Book()
    now = datetime(2026, 3, 18, 23, 59, tzinfo=UTC)
    days = iter([now, now, now + timedelta(minutes=2)])
    spending = Spending(book, PRICES, 1.0, lambda: next(days))
    assert spending.reserve(0.75)
    assert spending.reserve(0.75) is None
    assert spending.reserve(0.75)
    assert book.days == {"2026-03-18": 0.75, "2026-03-19": 0.75}


def test_many_threads_over_one_file_never_pass_the_cap(folder: Path) -> None:
    """Two captioners, as in two processes, with eight questions at once each; whatever is open
    or settled, the sum stays under the cap at every moment.
    """
    most = 8 * set_aside()
    books = [StoredSpend(open_database(folder / "spend")) for _ in range(2)]
    watched: list[float] = []
    done = threading.Event()
    watcher = threading.Thread(
        target=lambda: [watched.append(today(books[0])) for _ in iter(done.is_set, True)]
    )
    with CaptionServer() as server:
        found: list[Caption | Uncaptioned] = []

        def work(book: StoredSpend) -> None:
            with captioner(server, book=book, prices=PRICES, most=most, at_once=8) as made:
                found.extend(made.caption([still()] * 60))

        threads = [threading.Thread(target=work, args=(book,)) for book in books]
        watcher.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        watcher.join()
        answered = sum(isinstance(one, Caption) for one in found)
        assert answered == len(server.asked())
    assert max(watched) <= most
    assert today(books[0]) == pytest.approx(answered * USED, abs=1e-4)
    assert answered < 120
    for book in books:
        book.close()


@pytest.mark.parametrize(
    ("replies", "paid"),
    [
        ((Reply(status=400),), 0),
        ((Reply(status=401),), 0),
        ((Reply(status=429),) * 4, 0),
        ((Reply(status=503), Reply()), 1),
        ((Reply(content="no JSON"),), 1),  # the work was done
        ((Reply(refusal="No."),), None),
        ((Reply(cut=20),) * 4, None),  # perhaps it was done
        ((Reply(body=b"<html>"),), None),
    ],
)
def test_what_a_failure_costs(replies: tuple[Reply, ...], paid: int | None) -> None:
    """`paid`: how many answers were counted; None where what was set aside stays spent."""
    book = Book()
    with CaptionServer() as server, captioner(server, book=book, prices=PRICES) as made:
        server.say(*replies)
        made.caption([still()])
    attempts = len(replies)
    right = attempts * set_aside() if paid is None else paid * USED
    assert today(book) == pytest.approx(right)
    assert book.open == {}


@pytest.mark.parametrize(
    "usage",
    [
        "none",
        {},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": 10**12, "completion_tokens": 5},
        {"prompt_tokens": "many", "completion_tokens": []},
        {"prompt_tokens": 5},
    ],
)
def test_a_usage_that_can_not_be_right_costs_what_was_set_aside(usage: object) -> None:
    book = Book()
    with CaptionServer() as server, captioner(server, book=book, prices=PRICES) as made:
        server.say(Reply(usage=usage))
        (found,) = made.caption([still()])
    assert isinstance(found, Caption)
    assert today(book) == pytest.approx(set_aside())


def test_a_provider_that_counts_more_is_expected_to() -> None:
    book = Book()
    with CaptionServer(usage={"prompt_tokens": 26_000, "completion_tokens": 60}) as server:
        with captioner(server, book=book, prices=PRICES, at_once=1) as made:
            made.caption([still()])
            expected = made.calls.estimate.before(question(still()))
        assert expected.tokens_in >= 26_000
        assert today(book) == pytest.approx(PRICES.of(26_000, 60))
        most = 3.5 * PRICES.of(26_000, 1000)
        with captioner(server, prices=PRICES, most=most, at_once=1) as made:
            made.caption([still()] * 20)
            (book_of,) = [made.calls.spending.book]
        assert today(book_of) <= most  # type: ignore[arg-type]


def test_an_estimate_only_grows() -> None:
    estimate = TokenEstimate()
    before = estimate.before("a").tokens_in
    estimate.learn("a", Usage(10, 10))
    assert estimate.before("a").tokens_in == before
    estimate.learn("a", Usage(10**7, 10))
    assert before < estimate.before("a").tokens_in < 200_000


def test_what_can_not_be_written_down_is_not_sent() -> None:
    class FullBook(Book):
        def reserve(self, key: str, day: str, amount: float, most: float) -> bool:
            raise StorageFullError("no space left", where="the disk")

    with CaptionServer() as server, captioner(server, book=FullBook()) as made:
        (found,) = made.caption([still()])
        assert isinstance(found, Uncaptioned)
        assert found.again
        assert "no space left" in found.reason
        assert server.requests == []
