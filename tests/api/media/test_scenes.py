"""The requests of known clients of AP Media API, in their order and shape, over a real service.

The clients are read about in public code: Superdesk's feeding service, the Guardian's ingest and
MediaCloud's crawler. What they send and read is a fact; the code here is our own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from lxml import etree

from tests.api.media.overlaid import CONTRACT, faults
from tests.conftest import new_folder
from tests.demo_service import COMMAND, ROOT, wait_until_ready
from tests.free_ports import free_port

pytestmark = pytest.mark.service
READER, DESK = "reader-key-4711", "desk-key-4712"
KEYS = [
    {"name": "Gazette", "key": READER, "products": ["31991"]},
    {"name": "desk", "key": DESK, "products": ["31991"], "write": True},
]
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
ITEMID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Wire:
    """A running service: its address below /media/v, and what writes to it."""

    url: str
    http: httpx.Client

    def get(self, address: str, params: Mapping[str, str] | None = None, **more: Any) -> Any:
        """As the library `requests` does it: parameters go behind those of the address."""
        if params:
            address += ("&" if "?" in address else "?") + urlencode(params)
        return self.http.get(address, **more)

    def file(self, uri: str, version: int, **members: Any) -> None:
        document = {
            "uri": uri,
            "version": str(version),
            "type": "text",
            "versioncreated": f"{datetime.now(UTC) - timedelta(minutes=9):%Y-%m-%dT%H:%M:%S.123Z}",
            "headline": f"Ferry {uri[-3:]} aground",
            "body_xhtml": "<p>The ferry ran aground.</p><p>Nobody was hurt.</p>",
            "slugline": "BC-Ferry",
            "urgency": 4,
            "products": ["31991"],
            **members,
        }
        headers = {"x-api-key": DESK}
        address = self.url.replace("/media/v", "/content")
        answer = self.http.post(address, json=document, headers=headers)
        assert answer.status_code in (200, 201), answer.text

    def kill(self, uri: str) -> None:
        address = f"{self.url.replace('/media/v', '/content')}/{uri}/status"
        body = {"pubstatus": "canceled"}
        answer = self.http.patch(address, json=body, headers={"x-api-key": DESK})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    folder, port = new_folder(), free_port()
    log = folder / "serve.log"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("DATELINE_")}
    chosen = {"DATELINE_KEYS": json.dumps(KEYS), "DATELINE_KEYS_IN_URLS": "true"}
    serve = [*COMMAND, "serve", "--data", str(folder / "data"), "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            serve, cwd=ROOT, env={**plain, **chosen}, stdout=output, stderr=output
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", server, log)
            with httpx.Client(timeout=120, follow_redirects=True) as http:
                made = Wire(f"http://127.0.0.1:{port}/media/v", http)
                made.file("urn:ap:one", 1, altids={"itemid": ITEMID})
                made.file("urn:ap:two", 3)
                yield made
        finally:
            server.terminate()
            server.wait(120)
    assert_no_key(log)


def assert_no_key(log: Path) -> None:
    text = log.read_text("utf-8", "replace")
    assert not any(key in text for key in (READER, DESK, "apikey="))


def nitf_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    root = etree.fromstring(answer.content)
    assert root.findtext(".//hl1[@id='headline']")
    block = root.find(".//body.content/block")
    assert [p.text for p in block.iter("p")] == ["The ferry ran aground.", "Nobody was hurt."]
    return root


def test_superdesk(wire: Wire) -> None:
    key = {"apikey": READER}
    plans = wire.get(f"{wire.url}/account/plans", key).json()["data"]["plans"]
    ids = [str(one["id"]) for plan in plans for one in plan["entitlements"]]
    assert ids == ["31991"]
    start = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    params = {
        **key,
        "q": f"productid:({' OR '.join(ids)}) AND mindate:>{start}",
        "page_size": "100",
        "versions": "all",
    }
    first = wire.get(f"{wire.url}/content/feed", params).json()
    assert "error" not in first
    assert len(first["data"]["items"]) >= 2
    for entry in first["data"]["items"]:
        whole = wire.get(entry["item"]["uri"], key).json()["data"]["item"]
        assert whole["slugline"]
        assert isinstance(whole["urgency"], int)
        assert TIME.fullmatch(whole["versioncreated"])
        nitf_of(wire.get(whole["renditions"]["nitf"]["href"], key))
    wire.file("urn:ap:new", 1)
    second = wire.get(first["data"]["next_page"], key).json()["data"]
    assert [one["item"]["altids"]["itemid"] for one in second["items"]] == ["urn:ap:new"]
    assert second["next_page"] != first["data"]["next_page"]
    assert len(second["next_page"]) < len(first["data"]["next_page"]) + 8
    again = wire.get(first["data"]["next_page"], key).json()["data"]
    assert [one["meta"]["transition"]["id"] for one in again["items"]] == [
        one["meta"]["transition"]["id"] for one in second["items"]
    ]


def test_guardian(wire: Wire) -> None:
    headers = {"accept": "application/json", "x-api-key": READER}
    default = f"{wire.url}/content/feed?page_size=10&in_my_plan=true&include=*"
    feed = wire.http.get(default, headers=headers).json()
    assert "error" not in feed
    if CONTRACT.exists():
        assert faults("feedresponse", feed) == []
    etags = set()
    for entry in feed["data"]["items"]:
        item = entry["item"]
        etags.add(item["altids"]["etag"])
        nitf_of(wire.http.get(item["renditions"]["nitf"]["href"], headers=headers))
        assert (item["headline"][:5], item["pubstatus"]) == ("Ferry", "usable")
    assert len(etags) == len(feed["data"]["items"]) >= 2
    wire.file("urn:ap:two", 4)
    following = f"{feed['data']['next_page']}&include=*"
    (entry,) = wire.http.get(following, headers=headers).json()["data"]["items"]
    assert (entry["item"]["version"], entry["item"]["altids"]["etag"] in etags) == (4, False)


def test_mediacloud(wire: Wire) -> None:
    def call(path: str, params: Mapping[str, str]) -> httpx.Response:
        answer: httpx.Response = wire.get(
            f"{wire.url}/content/{path}", {"apikey": READER, **params}
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-mediaapi-Q-name"]
        used, limit = (int(x) for x in answer.headers["x-mediaapi-Q-used"].split("/"))
        assert 0 <= used <= limit
        assert int(answer.headers["x-mediaapi-Q-secondsLeft"]) >= 0
        return answer

    def parameters(address: str) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(address).query))

    data = call("search", {"sort": "versioncreated:desc", "page_size": "1"}).json()["data"]
    seen: set[str] = set()
    while True:
        for entry in data["items"]:
            story = entry["item"]
            guid, version = story["altids"]["itemid"], story["version"]
            item = call(guid, parameters(story["uri"])).json()["data"]["item"]
            datetime.strptime(item["firstcreated"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            asked = parameters(story["renditions"]["nitf"]["href"])
            nitf_of(call(f"{guid}.{version}/download", asked))
            seen.add(guid)
        if "next_page" not in data:
            break
        data = call("search", parameters(data["next_page"])).json()["data"]
    assert {ITEMID, "urn:ap:two"} <= seen
    assert "urn:ap:one" not in seen


def test_a_kill_reaches_who_received_the_story(wire: Wire) -> None:
    headers = {"x-api-key": READER}
    feed = wire.http.get(f"{wire.url}/content/feed?page_size=100", headers=headers).json()["data"]
    (story,) = (e["item"] for e in feed["items"] if e["item"]["altids"]["itemid"] == ITEMID)
    wire.kill("urn:ap:one")
    answer = wire.http.get(feed["next_page"], headers=headers).json()
    if CONTRACT.exists():
        assert faults("feedresponse", answer) == []
    (told,) = answer["data"]["items"]
    assert told["item"] == {
        "uri": story["uri"],
        "altids": {"itemid": ITEMID},
        "version": 1,
        "pubstatus": "canceled",
    }
    for address in (story["uri"], story["renditions"]["nitf"]["href"]):
        gone = wire.http.get(address, headers=headers)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, 404)
