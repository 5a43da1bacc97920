"""The desk over HTTP: what it sees of an item, corrections, reasons, and who is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from api.access.keys import KeyRing
from core.callers import Caller
from core.customers.webhooks import Endpoint, EndpointState
from core.items import Item, PassageVectors
from customers.audited import AuditedWriter, AuditTrail
from customers.newsdesk import NewsDesk
from indexing.ingest import Ingest
from storage.customers.audit import StoredAudit
from storage.customers.receipts import StoredReceipts
from storage.customers.sessions import StoredSessions
from storage.databases import open_database
from tests.api.media_archive import PHOTO, VIDEO, MediaArchive, media_archive
from tests.search.room import story

DESK, READER, WRITER, OTHER = "desk-key-1234", "read-key-1234", "write-key-123", "other-key-123"
WIRE, SPORT = frozenset({"wire"}), frozenset({"sport"})
RING = {
    DESK: Caller("desk", WIRE, writes=WIRE, may_inspect=True),
    READER: Caller("gazette", WIRE, may_inspect=True),
    WRITER: Caller("stringer", WIRE, writes=WIRE),
    OTHER: Caller("sports desk", SPORT, writes=SPORT, may_inspect=True),
}


class NoVectors:
    """Texts are found by words only."""

    def embed(self, items: Sequence[Item]) -> Sequence[tuple[PassageVectors, ...]]:
        return [() for _ in items]


@dataclass
class Desk:
    """A client, and what is behind it."""

    client: TestClient
    archive: MediaArchive
    receipts: StoredReceipts
    sessions: StoredSessions

    def ask(self, method: str, path: str, key: str = DESK, **more: Any) -> Any:
        answer = self.client.request(method, path, headers={"x-api-key": key}, **more)
        body = answer.json()
        return answer.status_code, body.get("data") or body["error"]["code"]

    def seen(self, uri: str = PHOTO) -> Any:
        code, data = self.ask("GET", f"/content/{uri}/status")
        assert code == 200, data
        return data

    def kill(self, uri: str = PHOTO, **more: Any) -> Any:
        return self.ask("PATCH", f"/content/{uri}/status", json={"pubstatus": "canceled", **more})


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    with media_archive(folder) as archive, closing(open_database(folder / "c.sqlite")) as database:
        receipts, sessions = StoredReceipts(database), StoredSessions(database)
        audit, engine, now = StoredAudit(database), archive.room.engine, lambda: datetime.now(UTC)
        with closing(AuditTrail(audit, now)) as trail:
            writer = AuditedWriter(engine, trail)
            hooks = [Endpoint("a", "gazette", "https://a.example/"), Endpoint("b", "x", "")]
            hooks.append(replace(hooks[0], state=EndpointState.DISABLED))
            app = archive.app(
                keys=KeyRing.of(RING),
                writer=writer,
                ingest=Ingest(writer, NoVectors(), now),
                newsdesk=NewsDesk(
                    engine,
                    receipts,
                    sessions,
                    audit,
                    now,
                    str.title,
                    lambda name: [one for one in hooks if one.account == name],
                ),
            )
            with TestClient(app) as client:
                yield Desk(client, archive, receipts, sessions)


def test_the_desk_sees_who_received_an_item_and_what_was_done_to_it(desk: Desk) -> None:
    desk.receipts.add("gazette", "search", [(PHOTO, 1)])
    desk.receipts.add("gazette", "webhook:a", [(PHOTO, 1)])
    desk.receipts.add("weekly", "item", [(PHOTO, 1)])
    assert desk.kill(reason=" wrong\n person ")[0] == 200
    seen = desk.seen()
    told = [(r["title"], r["channels"], r["webhooks"], r["sessions"]) for r in seen["recipients"]]
    assert told == [("Gazette", ["search", "webhook"], 1, 0), ("Weekly", ["item"], 0, 0)]
    assert (seen["state"], seen["version"], seen["otherwise"]) == ("canceled", 1, "")
    (entry,) = seen["log"]
    assert (entry["action"], entry["reason"], entry["key"]) == ("kill", "wrong person", "desk")
    undone = desk.ask("PATCH", f"/content/{PHOTO}/status", json={"pubstatus": "usable"})
    assert undone[0] == 200
    assert [one["action"] for one in desk.seen()["log"]] == ["release", "kill"]
    assert [e["uri"] for e in desk.ask("GET", "/v1/desk/log?limit=1")[1]["entries"]] == [PHOTO]


def test_a_reason_may_follow_a_kill(desk: Desk) -> None:
    desk.kill()
    code, data = desk.kill(reason="the family was not told")
    assert (code, data["items"][0]["outcome"]) == (200, "unchanged")
    assert [one["reason"] for one in desk.seen()["log"]] == ["the family was not told", ""]
    assert desk.kill(reason="x" * 501) == (400, "bad_parameter")


def test_the_desk_sees_what_the_story_shows_after_a_kill(desk: Desk) -> None:
    room = desk.archive.room
    room.put(story("lead", "Ferry aground", when=1), story("second", "Ferry", chain="lead", when=2))
    room.put(story("third", "Ferry freed", chain="lead", when=3, products=("sport",)))
    seen = desk.seen("second")
    assert (seen["head"], seen["otherwise"]) == ("", "")  # it is not this key's to change
    assert {one["uri"] for one in seen["story"]} == {"lead"}
    assert seen["hidden"]["versions"][0]["shown"]
    assert desk.ask("GET", "/content/third/status") == (404, "not_found")
    assert desk.ask("GET", "/content/third/status", OTHER)[1]["otherwise"] == ""


def test_a_correction_is_the_next_version_with_all_else_as_it_was(desk: Desk) -> None:
    path, key = f"/content/{PHOTO}", {"x-api-key": DESK}
    before = desk.client.get(path, headers=key).json()["data"]["item"]
    body = {"version": 1, "headline": "Two dogs, corrected", "reason": "wrong place"}
    code, data = desk.ask("POST", f"{path}/correction", json=body)
    assert (code, data["items"][0]["version"]) == (200, 2)
    after = desk.client.get(path, headers=key).json()["data"]["item"]
    assert (after["version"], after["headline"]) == (2, "Two dogs, corrected")
    assert after["machine_caption"] == before["machine_caption"]
    assert after["renditions"].keys() == before["renditions"].keys()
    assert [(e["action"], e["reason"]) for e in desk.seen()["log"]] == [("correct", "wrong place")]
    assert desk.ask("POST", f"{path}/correction", json=body) == (409, "stale")
    for bad in ({"version": 2, "reason": "x"}, {"version": 2, "headline": "x", "reason": ""}):
        assert desk.ask("POST", f"{path}/correction", json=bad) == (400, "bad_parameter")


def test_a_correction_of_a_killed_item_stays_killed(desk: Desk) -> None:
    quoted = quote(VIDEO, safe="")
    desk.kill(quoted)
    body = {"version": 1, "headline": "Corrected", "reason": "wrong place"}
    code, data = desk.ask("POST", f"/content/{quoted}/correction", json=body)
    assert (code, data["items"][0]["version"]) == (200, 2)
    seen = desk.seen(quoted)
    assert seen["state"] == "canceled"
    assert [one["action"] for one in seen["log"]] == ["correct", "kill"]
    assert desk.ask("GET", f"/content/{quoted}")[0] == 404


@pytest.mark.parametrize(
    ("key", "look", "correct", "kill"),
    [(READER, 403, 403, 403), (WRITER, 403, 200, 200), (OTHER, 404, 404, 404)],
)
def test_who_is_refused(desk: Desk, key: str, look: int, correct: int, kill: int) -> None:
    body = {"version": 1, "headline": "Theirs", "reason": "x"}
    log = 200 if key == OTHER else 403
    assert desk.ask("GET", f"/content/{PHOTO}/status", key)[0] == look
    assert desk.client.get("/v1/desk/log", headers={"x-api-key": key}).status_code == log
    assert desk.ask("POST", f"/content/{PHOTO}/correction", key, json=body)[0] == correct
    change = {"pubstatus": "withheld"}
    code, _ = desk.ask("PATCH", f"/content/{PHOTO}/status", key, json=change)
    assert code == (202 if kill == 404 else kill)  # an unknown item is held
    assert desk.client.get("/page/config", headers={"x-api-key": key}).json()["desk"] is (
        key != READER
    )
