"""Posts to customers' addresses, against receivers that do what they please."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from customers.webhooks.addresses import AddressError, AddressRules
from dateline.serving.webhook_posts import WebhookPosts
from tests.certificates import own_authority
from tests.webhook_receiver import (
    Answering,
    cut,
    dripping,
    endless,
    huge_head,
    receiver,
    rubbish,
    silent,
    status,
    unfinished,
)

HERE = AddressRules.of(["127.0.0.0/8"], http=True)
HEADERS = {"webhook-id": "m1"}
LONG_S = 60.0  # no post takes so long


@pytest.fixture
def posts() -> Iterator[WebhookPosts]:
    made = WebhookPosts(HERE, total_s=1.0)
    yield made
    made.close()


def test_a_message_arrives_and_its_connection_is_used_again(posts: WebhookPosts) -> None:
    with receiver(status(204)) as there:
        for _ in range(3):
            answer = posts(there.url + "?x=1", HEADERS, b'{"a":1}')
            assert (answer.status, answer.accepted) == (204, True)
        first = there.received[2]
        assert (first.path, first.body) == ("/hook?x=1", b'{"a":1}')
        assert (first.name, first.headers["host"]) == ("m1", f"127.0.0.1:{there.port}")


@pytest.mark.parametrize("answer", [silent, dripping, huge_head, rubbish, cut])
def test_a_receiver_without_an_answer_costs_a_bounded_time(
    posts: WebhookPosts, answer: Answering
) -> None:
    with receiver(answer) as there:
        found = posts(there.url, HEADERS, b"{}")
        assert (found.status, found.accepted) == (0, False)
        assert found.why
        assert found.seconds < LONG_S


@pytest.mark.parametrize("answer", [endless, unfinished])
def test_of_an_accepting_receiver_s_body_little_is_read(
    posts: WebhookPosts, answer: Answering
) -> None:
    with receiver(answer) as there:
        for _ in range(2):
            found = posts(there.url, HEADERS, b"{}")
            assert (found.accepted, found.seconds < LONG_S) == (True, True)


def test_redirects_are_not_followed(posts: WebhookPosts) -> None:
    with (
        receiver(status(204)) as target,
        receiver(status(307, f"location: http://127.0.0.1:{target.port}/")) as there,
    ):
        found = posts(there.url, HEADERS, b"{}")
        assert (found.status, found.accepted, target.received) == (307, False, [])


def test_what_a_receiver_says_of_waiting_is_told(posts: WebhookPosts) -> None:
    with receiver(status(429, "Retry-After: 120")) as there:
        assert posts(there.url, HEADERS, b"{}").retry_after == 120.0
    with receiver(status(503, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT")) as there:
        assert posts(there.url, HEADERS, b"{}").retry_after == 0.0


def test_nobody_there(posts: WebhookPosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert posts(f"http://127.0.0.1:{port}/", HEADERS, b"{}").status == 0


def test_an_address_in_a_private_network_gets_no_connection() -> None:
    for rules in (AddressRules(http=True), AddressRules.of(["10.0.0.0/8"], http=True)):
        posts = WebhookPosts(rules, total_s=5.0)
        with receiver(status(204)) as there:
            answer = posts(there.url, HEADERS, b"{}")
            assert (answer.status, there.received) == (0, [])
            assert "127.0.0.1" in answer.why
            with pytest.raises(AddressError):
                posts.check(there.url)
        posts.close()


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """A name that resolves to another network a moment later reaches nothing there."""
    asked: list[str] = []
    answers = {"first": ["127.0.0.1"], "then": ["127.0.0.1"], "last": ["127.0.0.1", "10.0.0.1"]}
    turns = iter(answers.values())

    def resolved(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(turns)

    with receiver(status(204, "connection: close")) as there:
        posts = WebhookPosts(HERE, resolved=resolved, total_s=5.0)
        url = f"http://hook.example:{there.port}/"
        posts.check(url)
        assert posts(url, HEADERS, b"{}").accepted
        assert posts(url, HEADERS, b"{}").status == 0
        posts.close()
        assert asked == 3 * ["hook.example"]  # once for each connection
        (only,) = there.received
        assert only.headers["host"] == f"hook.example:{there.port}"


def test_a_name_without_an_address_is_refused() -> None:
    posts = WebhookPosts(HERE, resolved=lambda *_: ())
    with pytest.raises(AddressError):
        posts.check("https://nowhere.example/")
    posts.close()


def test_the_certificate_is_of_the_name_and_not_of_the_address(folder: Path) -> None:
    authority, server = own_authority(folder, "hook.example")
    client = ssl.create_default_context(cafile=authority)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ended = threading.Event()

        def answer() -> None:
            while True:
                connection, _ = listening.accept()
                with connection:
                    if ended.is_set():
                        return
                    with suppress(OSError), server.wrap_socket(connection, server_side=True) as it:
                        it.recv(65536)
                        it.sendall(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        posts = WebhookPosts(HERE, resolved=lambda *_: ["127.0.0.1"], tls=client, total_s=60.0)
        answers = [posts(f"https://{name}.example:{port}/", HEADERS, b"") for name in ("hook", "x")]
        posts.close()
        ended.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join(120)
        assert [one.status for one in answers] == [204, 0], answers
