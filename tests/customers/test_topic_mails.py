"""Mails about followed topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.customers.topics import TopicMatch
from core.customers.transitions import TransitionKind
from customers.topic_mails import TopicMails
from storage.customers.topics import StoredTopics
from storage.databases import open_database

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
Mail = tuple[tuple[str, ...], str, str]


class Server:
    """Takes mails, or refuses them."""

    def __init__(self) -> None:
        self.taken: list[Mail] = []
        self.refuses = False

    def send(self, to: Sequence[str], subject: str, text: str) -> None:
        if self.refuses:
            raise OSError("no room")
        self.taken.append((tuple(to), subject, text))


@pytest.fixture
def store(folder: Path) -> Iterator[StoredTopics]:
    with closing(open_database(folder / "customers.sqlite")) as database:
        yield StoredTopics(database)


def matched(store: StoredTopics, topic: int, *uris: str) -> None:
    epoch, place = store.position()
    found = [
        TopicMatch(f"{topic}.{uri}", topic, "gazette", NOW, TransitionKind.SHOWN, uri, uri, 1, 7)
        for uri in uris
    ]
    assert store.note((epoch, place), found, (epoch, place + 1))


def test_a_topic_with_addresses_is_mailed_and_tried_again(store: StoredTopics) -> None:
    topic = store.add("gazette", "Ferries", "ferry", NOW, 9, ("desk@gazette.example",))
    assert topic is not None
    server = Server()
    mails = TopicMails(store, server.send)
    mails.step()
    assert server.taken == []
    server.refuses = True
    matched(store, topic.id, "urn:one", "urn:two")
    mails.step()
    server.refuses = False
    mails.step()
    mails.step()
    ((to, subject, text),) = server.taken
    assert to == ("desk@gazette.example",)
    assert "Ferries" in subject
    assert "2" in subject
    assert f"followedtopics:{topic.id}" in text
    assert "urn:one" not in text
