"""The Python of docs/api.md and docs/webhooks.md, run as it is written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dateline_client import Client

from tests.demo_service import ROOT, serving
from tests.free_ports import free_port
from tests.webhook_receiver import Receiver, receiver, status

pytestmark = pytest.mark.service

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_URL = "http://127.0.0.1:8000"
LOOPBACK = {"webhook_http": "true", "webhook_networks": '["127.0.0.0/8"]'}


def blocks(page: str) -> list[str]:
    return _BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


@pytest.fixture(scope="module")
def hooked(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo, which may send webhooks to this machine."""
    data = tmp_path_factory.mktemp("hooked") / "data"
    shutil.copytree(demo_archive, data)
    with serving(data, free_port(), **LOOPBACK) as (url, _):
        yield url


def write(url: str, uri: str, headline: str, version: int = 1) -> None:
    document = {"uri": uri, "version": str(version), "type": "text", "products": ["demo"]}
    document |= {"headline": headline, "body_text": f"Words of {uri}."}
    answer = httpx.post(
        f"{url}/content", json=document, headers={"x-api-key": "demo-ingest"}, timeout=240
    )
    assert answer.status_code in (200, 201), answer.text


def kill(url: str, uri: str) -> None:
    answer = httpx.patch(
        f"{url}/content/{uri}/status",
        json={"pubstatus": "canceled"},
        headers={"x-api-key": "demo-ingest"},
        timeout=240,
    )
    assert answer.status_code == 200, answer.text


def test_each_example_of_the_client_runs(
    hooked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    found = blocks("api.md")
    for block in found:
        exec(compile(block.replace(_URL, hooked), "docs/api.md", "exec"), space)
    told = capsys.readouterr().out
    assert len(found) >= 6
    assert len(space["stories"]) > 50
    assert space["story"].body
    assert space["first"].item.uri
    assert "404 not_found" in told
    assert (tmp_path / "wire.json").is_file()
    assert (tmp_path / "story.xml").read_bytes().startswith(b"<?xml")


def test_the_mirror_of_the_example_is_what_a_search_finds(hooked: str, tmp_path: Path) -> None:
    with Client(hooked, "demo-reader") as client:
        told = {}
        for entry in client.follow(once=True):
            told[entry.item.uri] = not entry.gone
        found = {hit.item.uri for hit in client.search_all(sort="versioncreated:desc")}
    assert {uri for uri, there in told.items() if there} == found


def test_each_example_of_webhooks_runs(hooked: str) -> None:
    with receiver(status(204)) as there:
        creating, verifying = (
            block.replace(_URL, hooked)
            .replace("https://desk.example/dateline", there.url)
            .replace("YOUR-KEY", "demo-reader")
            for block in blocks("webhooks.md")
        )
        space: dict[str, Any] = {}
        exec(compile(creating, "docs/webhooks.md", "exec"), space)
        exec(compile(verifying, "docs/webhooks.md", "exec"), space)
        write(hooked, "urn:example:docs-1", "A ferry in the harbour")
        write(hooked, "urn:example:docs-2", "Bank raises rates")
        received = until(there, "item.shown")
        kill(hooked, "urn:example:docs-1")
        received = until(there, "item.killed")
        types = [one.json["type"] for one in received]
        assert sorted(types) == ["item.killed", "item.shown", "webhook.test"]
        for one in received:
            assert space["receive"](dict(one.headers), one.body) == 204
            assert space["receive"](dict(one.headers), one.body + b" ") == 400
        killed = next(one.json for one in received if one.json["type"] == "item.killed")
        assert killed["data"]["item"] == {
            "uri": "urn:example:docs-1",
            "version": 1,
            "pubstatus": "canceled",
        }
        client = space["client"]
        (webhook,) = client.webhooks()
        assert webhook.state == "active"
        metrics = httpx.get(
            f"{hooked}/metrics", headers={"x-api-key": "demo-ingest"}, timeout=120
        ).text
        assert 'dateline_webhooks{state="dead"} 0.0' in metrics
        client.delete_webhook(webhook.id)
        client.close()


def until(there: Receiver, kind: str) -> Any:
    """What was received, once a message of this type came."""
    received = there.wait(1)
    while kind not in {one.json["type"] for one in received}:
        received = there.wait(len({one.name for one in received}) + 1)
    return received
