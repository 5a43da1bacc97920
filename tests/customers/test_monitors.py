"""Monitors: what they may be, when a session is in alarm, and the mails to a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from core.callers import Caller
from core.customers.monitors import AlertKind, Checked, ConditionState, ConditionType, Watched
from core.errors import ConflictError, InputError, NotFoundError
from customers.monitoring import Monitoring
from customers.monitors import duration_text, is_address, read_monitor
from dateline.serving.alert_threads import MailServer
from storage.customers.monitors import StoredMonitors
from storage.databases import open_database
from tests.free_ports import free_port

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
GAZETTE = Caller("desk", frozenset({"wire"}), customer="gazette")
HERALD = Caller("herald", frozenset({"wire"}))
MINUTE = timedelta(minutes=1)


def body(name: str = "feeds", **members: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": name,
        "description": "Watches the wire",
        "playbook": "Restart the reader.",
        "repeatAlerts": "PT30M",
        "notify": [{"channelType": "email", "channelDestinations": ["desk@example.com"]}],
        "conditions": [
            {"type": "idleFeed", "enabled": True, "criteria": {"idleTime": "PT15M"}},
            {"type": "quality"},
        ],
    }
    return {"monitor": told | members}


@dataclass
class Post:
    """Takes mail, or refuses it."""

    taken: list[Message] = field(default_factory=list)
    refuses: bool = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses:
            return "451 try again later"
        self.taken.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def post() -> Iterator[tuple[Post, MailServer]]:
    handler = Post()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, MailServer("127.0.0.1", port, "wire@example.org", "none")
    controller.stop()


@dataclass
class World:
    """Monitoring with a clock to turn."""

    monitoring: Monitoring
    now: datetime = NOW

    def pass_time(self, by: timedelta) -> None:
        self.now += by
        self.monitoring.step()

    def kinds(self, caller: Caller = GAZETTE) -> list[AlertKind]:
        return [one.kind for one in reversed(self.monitoring.alerts(caller))]

    def states(self, session: str = "s1") -> dict[str, str]:
        found = self.monitoring.session(GAZETTE, session)
        return {str(one.type): str(one.state) for one in found.standings}


@pytest.fixture
def world(place: Path | str) -> Iterator[World]:
    database = open_database(place)
    made = World(Monitoring(StoredMonitors(database), lambda: made.now))
    yield made
    database.close()


def test_a_monitor_is_read_whole() -> None:
    found = read_monitor("gazette", body())
    assert found.repeat == timedelta(minutes=30)
    assert [one.idle for one in found.conditions] == [timedelta(minutes=15), timedelta(0)]
    assert found.emails == ("desk@example.com",)
    times = {"0": 0, "PT15M": 15, "PT1H": 60, "PT2H5M": 125}
    told = {text: read_monitor("gazette", body(repeatAlerts=text)).repeat for text in times}
    assert told == {text: timedelta(minutes=minutes) for text, minutes in times.items()}
    longest = f"{'a' * 60}@{'.'.join(['b' * 60] * 3)}.{'c' * 10}"
    assert len(longest) == 254
    notify = [{"channelType": "email", "channelDestinations": [longest]}]
    assert read_monitor("gazette", body(notify=notify)).emails == (longest,)
    assert not is_address(f"a{longest}")


@pytest.mark.parametrize(
    "members",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 21},
        {"name": 7},
        {"repeatAlerts": "PT9M"},
        {"repeatAlerts": "PT25H"},
        {"repeatAlerts": "P1D"},
        {"description": 7},
        {"playbook": "x" * 2001},
        {"notify": []},
        {"notify": "desk@example.com"},
        {"notify": [{"channelType": "sms", "channelDestinations": ["1"]}]},
        {"notify": [{"channelType": "email", "channelDestinations": ["no address"]}]},
        {"notify": [{"channelType": "email", "channelDestinations": ["a@b.c\nBcc: x@y.z"]}]},
        {"conditions": []},
        {"conditions": [{"type": "idleFeed"}]},
        {"conditions": [{"type": "idleFeed", "criteria": {"idleTime": "PT1M"}}]},
        {"conditions": [{"type": "noise"}]},
        {"conditions": [{"type": "quality", "enabled": "yes"}]},
        {"conditions": [{"type": "quality"}] * 6},
        {"colour": "red"},
    ],
)  # fmt: skip
def test_a_wrong_monitor_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        read_monitor("gazette", body(**members))
    assert raised.value.mend


def test_addresses_and_durations() -> None:
    assert all(map(is_address, ["a@b", "a.b+c@x-y.example.com", "o'neil@example.org"]))
    assert not any(map(is_address, ["a", "@b", "a@", "a@-b.c", "a b@c", "a@b..c", "a@b,c@d", ""]))
    assert [duration_text(timedelta(minutes=n)) for n in (0, 15, 60, 125)] == [
        "0", "PT15M", "PT1H", "PT2H5M",
    ]  # fmt: skip


def test_monitors_are_an_account_s(world: World) -> None:
    made = world.monitoring.create(GAZETTE, body())
    assert world.monitoring.all(GAZETTE) == (made,)
    assert world.monitoring.all(HERALD) == ()
    with pytest.raises(ConflictError):
        world.monitoring.create(GAZETTE, body())
    world.monitoring.create(HERALD, body())
    changed = world.monitoring.update(GAZETTE, "feeds", body("wire", repeatAlerts="0"))
    assert (changed.id, changed.name, changed.repeat) == (made.id, "wire", timedelta(0))
    assert world.monitoring.one(GAZETTE, str(made.id)) == changed
    with pytest.raises(NotFoundError):
        world.monitoring.update(GAZETTE, "feeds", body())
    with pytest.raises(NotFoundError):
        world.monitoring.remove(HERALD, "wire")
    assert world.monitoring.remove(GAZETTE, "wire") == changed
    assert world.monitoring.all(GAZETTE) == ()


def test_an_idle_feed_is_told_once_again_and_when_it_recovers(world: World) -> None:
    monitoring = world.monitoring
    monitoring.create(GAZETTE, body())
    monitoring.seen(GAZETTE, "s1", "feeds", label="desk")
    world.pass_time(10 * MINUTE)
    assert world.kinds() == []
    world.pass_time(5 * MINUTE)
    assert world.kinds() == [], "fifteen minutes of silence are allowed"
    assert world.states() == {"idleFeed": "ok", "quality": "ok"}
    world.pass_time(MINUTE)
    assert world.kinds() == [AlertKind.ALARM]
    world.pass_time(29 * MINUTE)
    assert world.kinds() == [AlertKind.ALARM], "a repeat comes after half an hour"
    world.pass_time(MINUTE)
    assert world.kinds() == [AlertKind.ALARM, AlertKind.REPEAT]
    monitoring.seen(GAZETTE, "s1", "feeds")
    world.pass_time(MINUTE)
    assert world.kinds() == [AlertKind.ALARM, AlertKind.REPEAT, AlertKind.RECOVERED]
    assert world.states()["idleFeed"] == "recovered"
    world.pass_time(MINUTE)
    assert world.states()["idleFeed"] == "ok"
    assert len(world.kinds()) == 3
    assert world.kinds(HERALD) == []


def test_failing_requests_are_an_alarm_of_quality(world: World) -> None:
    world.monitoring.create(GAZETTE, body(repeatAlerts="0"))
    for failed in (True, False, False):
        world.monitoring.seen(GAZETTE, "s1", "feeds", failed=failed)
    world.pass_time(MINUTE)
    assert world.kinds() == []
    for failed in (True, False):
        world.monitoring.seen(GAZETTE, "s1", "feeds", failed=failed)
    world.pass_time(MINUTE)
    world.pass_time(MINUTE)  # nothing was asked for, so nothing is better
    assert world.states()["quality"] == ConditionState.ALARM
    world.monitoring.seen(GAZETTE, "s1", "feeds")
    world.pass_time(MINUTE)
    alerts = world.monitoring.alerts(GAZETTE)
    assert [one.type for one in alerts] == [ConditionType.QUALITY] * 2
    assert world.kinds() == [AlertKind.ALARM, AlertKind.RECOVERED]
    found = world.monitoring.session(GAZETTE, "s1").watched
    assert (found.requests, found.failures) == (6, 2)


def test_a_session_that_is_disabled_is_silent(world: World) -> None:
    monitoring = world.monitoring
    monitoring.create(GAZETTE, body())
    monitoring.seen(GAZETTE, "s1", "feeds", agent="reader-1")
    monitoring.seen(GAZETTE, "s2", "feeds", agent="reader-2")
    assert [one.watched.session for one in monitoring.sessions(GAZETTE, "reader-2")] == ["s2"]
    with pytest.raises(NotFoundError):
        monitoring.enable(HERALD, "s1", enabled=False)
    monitoring.enable(GAZETTE, "s1", enabled=False)
    monitoring.enable(GAZETTE, "s2", enabled=False)
    world.pass_time(60 * MINUTE)
    assert world.kinds() == []
    assert world.states() == {"idleFeed": "disabled", "quality": "disabled"}
    monitoring.enable(GAZETTE, "s1", enabled=True)
    world.pass_time(10 * MINUTE)
    assert world.kinds() == [], "it is watched from now on"
    world.pass_time(10 * MINUTE)
    assert world.kinds() == [AlertKind.ALARM]
    world.pass_time(timedelta(hours=73))
    assert monitoring.sessions(GAZETTE) == (), "a session ends after 72 hours"


def test_two_processes_tell_an_alarm_once(world: World, place: Path | str) -> None:
    database = open_database(place)
    other = Monitoring(StoredMonitors(database), lambda: world.now)
    world.monitoring.create(GAZETTE, body())
    world.monitoring.seen(GAZETTE, "s1", "feeds")
    world.pass_time(MINUTE)
    world.now += 20 * MINUTE
    for monitoring in (world.monitoring, other, world.monitoring, other):
        monitoring.step()
    assert world.kinds() == [AlertKind.ALARM]
    database.close()


def test_of_two_looks_at_the_same_moment_one_counts(world: World, place: Path | str) -> None:
    database = open_database(place)
    store, other = StoredMonitors(database), world.monitoring.store
    watched = Watched("s1", "gazette", "feeds", "", "", NOW, NOW)
    store.seen([watched])
    looks = [Checked(replace(watched, checked=NOW + n * MINUTE), (), ()) for n in (1, 2)]
    assert store.record(None, looks[0])
    assert not other.record(None, looks[1])
    assert [one.checked for one in other.watched()] == [NOW + MINUTE]
    database.close()


def test_threads_share_the_limit_and_the_names(place: Path | str) -> None:
    database = open_database(place)
    store = StoredMonitors(database)
    wanted = [read_monitor("gazette", body(f"feeds{n % 4}")) for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        made = [*pool.map(lambda one: store.put(one, 0, 3), wanted)]
    kept = [one for one in made if one is not None]
    assert sorted(one.name for one in kept) == sorted({one.name for one in kept})
    assert {*store.of("gazette")} == {*kept}
    assert len(kept) == 3
    free = ({f"feeds{n}" for n in range(4)} - {one.name for one in kept}).pop()
    first, second, _ = kept
    assert store.put(replace(first, name=second.name), first.id, 3) is None
    assert store.put(replace(first, name=free), 10_000, 3) is None
    assert store.put(replace(first, name=free), first.id, 3) == replace(first, name=free)
    database.close()


def test_notices_are_mailed(world: World, post: tuple[Post, MailServer]) -> None:
    handler, server = post
    world.monitoring.send = server.send
    world.monitoring.create(GAZETTE, body())
    world.monitoring.seen(GAZETTE, "s1", "feeds", label="desk\r\nBcc: x@example.com")
    handler.refuses = True
    world.pass_time(20 * MINUTE)
    assert handler.taken == []
    assert world.monitoring.alerts(GAZETTE)[0].sent is None
    handler.refuses = False
    world.pass_time(MINUTE)
    assert handler.taken == [], "it is not tried again at once"
    world.pass_time(5 * MINUTE)
    (mail,) = handler.taken
    assert mail["To"] == "desk@example.com"
    assert mail["From"] == "wire@example.org"
    assert mail["Bcc"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    text = str(mail.get_payload())
    assert "Restart the reader." in text
    assert "s1" in text
    assert world.monitoring.alerts(GAZETTE)[0].sent == world.now
    world.pass_time(MINUTE)
    assert len(handler.taken) == 1


def test_a_server_that_is_not_there_is_no_mail(world: World) -> None:
    port = free_port()
    with pytest.raises(OSError):  # noqa: PT011 - of any kind
        MailServer("127.0.0.1", port, "a@b", "none").send(["c@d"], "x", "y")
