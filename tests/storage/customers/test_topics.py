"""The tables of followed topics and matches, over SQLite and Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
import sqlalchemy as sa

from core.customers.topics import FollowedTopic, TopicMatch
from core.customers.transitions import TransitionKind
from storage.customers.topics import StoredTopics
from storage.databases import Database

NOW = datetime(2026, 3, 18, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> StoredTopics:
    return StoredTopics(database)


def match(topic: int, number: int, at: datetime = NOW) -> TopicMatch:
    return TopicMatch(
        f"{topic}.{number}", topic, "gazette", at, TransitionKind.SHOWN, "s", f"u{number}", 2, 7
    )


def added(store: StoredTopics, account: str = "gazette", query: str = "ferry") -> FollowedTopic:
    made = store.add(account, "Ferries", query, NOW, 100)
    assert made is not None
    return made


def test_topics_come_back_to_their_account(store: StoredTopics, database: Database) -> None:
    first, second, other = added(store), added(store, query="🌍 \x00"[:2]), added(store, "herald")
    assert StoredTopics(database).of("gazette") == [first, second]
    assert store.of("herald") == [other]
    assert store.of("nobody") == []
    assert first == FollowedTopic(first.id, "gazette", "Ferries", "ferry", NOW, None, 1)


def test_changes_are_numbered_and_ids_are_never_given_again(store: StoredTopics) -> None:
    first, second = added(store), added(store)
    changed = store.change("gazette", first.id, "Boats", "boat")
    assert changed is not None
    assert (changed.name, changed.query, changed.changed) == ("Boats", "boat", 3)
    assert store.change("herald", first.id, "x", "y") is None
    assert store.remove("gazette", second.id)
    assert not store.remove("gazette", second.id)
    third = added(store)
    assert third.id > second.id
    seen = store.since(0, 10)
    assert [(topic.id, topic.gone) for topic in seen] == [
        (first.id, False),
        (second.id, True),
        (third.id, False),
    ]
    assert store.since(seen[0].changed, 1) == [seen[1]]
    assert store.changes() == seen[-1].changed


def test_an_account_has_so_many_topics_at_most(store: StoredTopics) -> None:
    made = [store.add("gazette", "x", "y", NOW, 2) for _ in range(3)]
    assert [topic is None for topic in made] == [False, False, True]
    assert store.add("herald", "x", "y", NOW, 2) is not None


def test_threads_share_the_limit(store: StoredTopics) -> None:
    made: list[FollowedTopic | None] = []
    threads = [
        Thread(target=lambda: made.append(store.add("gazette", "x", "y", NOW, 3))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([topic for topic in made if topic]) == 3 == len(store.of("gazette"))


def test_matches_and_the_position_are_recorded_together(store: StoredTopics) -> None:
    topic = added(store)
    first, second, third = ("one", 5), ("one", 9), ("other", 5)
    assert store.note(store.position(), [match(topic.id, 1), match(topic.id, 2)], first)
    assert not store.note(("", 0), [match(topic.id, 3)], second), "another process was faster"
    assert store.position() == first
    assert not store.note(third, [match(topic.id, 3)], second), "another history"
    repeated = [match(topic.id, 2), match(topic.id, 4)]
    assert store.note(first, repeated, second), "a repeat changes nothing"
    found = store.matches(0, 10)
    assert [one.id for one in found] == [f"{topic.id}.{n}" for n in (1, 2, 4)]
    assert store.matches(found[0].n, 1) == [found[1]]
    assert store.matches(0, 10, "herald") == []
    assert store.last() == found[-1].n
    assert store.of("gazette")[0].last_match == NOW


def test_matches_are_kept_for_a_week(store: StoredTopics) -> None:
    topic = added(store)
    store.note(("", 0), [match(topic.id, 1)], ("", 1))
    store.note(("", 1), [match(topic.id, 2, NOW + timedelta(days=8))], ("", 2))
    assert [one.uri for one in store.matches(0, 10)] == ["u2"]
    assert store.last() == store.matches(0, 10)[0].n


def test_numbers_of_matches_rise_over_a_restore(store: StoredTopics, database: Database) -> None:
    topic = added(store)
    store.note(("", 0), [match(topic.id, 1)], ("one", 1))
    store.note(("one", 1), [match(topic.id, 2), match(topic.id, 3)], ("one", 2))
    told = [one.n for one in store.matches(0, 10)]
    assert told == sorted({*told})
    restored = "DELETE FROM dateline_topic_matches WHERE n > :n"
    database.run(lambda connection: connection.execute(sa.text(restored), {"n": told[0]}))
    store.note(("one", 2), [match(topic.id, 4)], ("other", 2))
    assert [one.uri for one in store.matches(told[-1], 10)] == ["u4"]


def test_the_table_of_an_earlier_version_gets_what_it_lacks(
    store: StoredTopics, database: Database
) -> None:
    store.note(("", 0), [], ("", 7))
    drop = "ALTER TABLE dateline_topics_state DROP COLUMN epoch"
    database.run(lambda connection: connection.execute(sa.text(drop)))
    assert StoredTopics(database).position() == ("", 7)


def test_each_match_is_mailed_once(store: StoredTopics, database: Database) -> None:
    other = StoredTopics(database)
    silent = added(store)
    mailed = store.add("gazette", "Banks", "bank", NOW, 100, ("a@b.example", "c@d.example"))
    assert mailed is not None
    assert store.of("gazette") == [silent, mailed]
    found = [match(silent.id, 1), match(mailed.id, 1), match(mailed.id, 2)]
    assert store.note(store.position(), found, ("", 3))
    ((told, count),) = other.unmailed()
    assert (told.id, told.emails, count) == (mailed.id, mailed.emails, 2)
    assert [*store.unmailed()] == [*other.unmailed()] == []
    assert store.note(store.position(), [match(mailed.id, 3)], ("", 4))
    assert [count for _, count in store.unmailed()] == [1]
    changed = store.change("gazette", mailed.id, "Banks", "bank")
    assert changed is not None
    assert changed.emails == ()
    assert store.note(store.position(), [match(mailed.id, 4)], ("", 5))
    assert [*store.unmailed()] == []
