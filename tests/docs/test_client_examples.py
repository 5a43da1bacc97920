"""The Python of docs/api.md and docs/webhooks.md, and the loop for a shell and the answer that
docs/api.md shows: run as they are written.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
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


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def blocks(name: str) -> list[str]:
    return _BLOCK.findall(page(name))


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
    space["client"].close()
    assert len(found) >= 8
    assert space["story"].body
    assert (tmp_path / "story.txt").read_text("utf-8").startswith(space["story"].headline)
    assert space["first"].item.uri
    assert "404 not_found" in told
    mirrored = space["mirror"].execute("SELECT uri, item FROM stories").fetchall()
    space["mirror"].close()
    stories = {uri: json.loads(item) for uri, item in mirrored}
    assert stories == json.loads((tmp_path / "mirror.json").read_text())["stories"]
    assert len(stories) > 50


def test_the_mirror_without_the_client_goes_on_and_begins_anew(
    hooked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in blocks("api.md") if "import httpx" in block)
    program = compile(
        block.replace(_URL, hooked).replace("wait=15", "wait=1"), "docs/api.md", "exec"
    )

    def mirrored() -> dict[str, Any]:
        exec(program, {})
        stories: dict[str, Any] = json.loads(Path("mirror.json").read_text())["stories"]
        return stories

    write(hooked, "urn:example:kept", "Told before")
    while "urn:example:kept" not in mirrored():
        pass
    write(hooked, "urn:example:late", "Told after a restart")
    kill(hooked, "urn:example:kept")
    while "urn:example:kept" in (stories := mirrored()):
        pass
    assert "urn:example:late" in stories
    ended = {"stories": {}, "next": "/content/feed?session=ended&position=1-1"}
    Path("mirror.json").write_text(json.dumps(ended))
    assert mirrored() == stories


@pytest.mark.skipif(not shutil.which("jq"), reason="the loop reads JSON with jq")
def test_the_loop_for_a_shell_finds_what_the_client_finds(hooked: str) -> None:
    (loop,) = re.findall(r"```bash\n(.*?)```", page("api.md"), re.DOTALL)
    done = subprocess.run(
        ["bash", "-ec", loop.replace(_URL, hooked).replace("page_size=50", "page_size=10")],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    with Client(hooked, "demo-reader") as client:
        found = [hit.item.uri for hit in client.search_all("ferry accident")]
    assert done.stdout.split() == found
    assert len(found) > 10


def test_an_answer_has_what_the_page_shows(hooked: str) -> None:
    shown, refusal = map(json.loads, re.findall(r"```json\n(.*?)```", page("api.md"), re.DOTALL))
    found = shown["data"]["next_page"].partition("&page=")[0]
    asked = {found: shown, "/content/search?pagesize=5": refusal}
    for address, like in asked.items():
        answer = httpx.get(f"{hooked}{address}", headers={"x-api-key": "demo-reader"}, timeout=240)
        assert kinds(answer.json(), like) == kinds(like, like)
    assert answer.json()["error"]["code"] == refusal["error"]["code"]


def kinds(value: Any, like: Any) -> Any:
    """The types of those parts of `value` that `like` has, too."""
    if isinstance(like, dict):
        return {name: kinds(value[name], part) for name, part in like.items()}
    if isinstance(like, list):
        return [kinds(value[0], like[0])]
    return type(value)


def test_the_mirror_of_the_example_is_what_a_search_finds(hooked: str, tmp_path: Path) -> None:
    with Client(hooked, "demo-reader") as client:
        told = {}
        for entry in client.follow(once=True):
            told[entry.item.uri] = not entry.gone
        found = {hit.item.uri for hit in client.search_all(sort="versioncreated:desc")}
    assert {uri for uri, there in told.items() if there} == found


def test_each_example_of_webhooks_runs(hooked: str) -> None:
    with receiver(status(204)) as there:
        creating, verifying, by_hand = (
            block.replace(_URL, hooked)
            .replace("https://desk.example/dateline", there.url)
            .replace("YOUR-KEY", "demo-reader")
            for block in blocks("webhooks.md")
        )
        space: dict[str, Any] = {}
        exec(compile(creating, "docs/webhooks.md", "exec"), space)
        exec(compile(verifying, "docs/webhooks.md", "exec"), space)
        exec(compile(by_hand, "docs/webhooks.md", "exec"), space)
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
            lower = {name.lower(): value for name, value in one.headers.items()}
            assert space["is_signed"](space["webhook"].secret, lower, one.body)
            assert not space["is_signed"](space["webhook"].secret, lower, one.body + b" ")
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
