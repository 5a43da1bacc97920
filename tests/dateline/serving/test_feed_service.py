"""The feed of a service as it is started: its thread, its search processes, its end."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.dateline.serving.test_serve import served

pytestmark = pytest.mark.service
READ, WRITE = {"x-api-key": DEMO_READ_KEY}, {"x-api-key": DEMO_INGEST_KEY}
URI = "urn:feed:quokka"
STORY = {
    "uri": URI,
    "version": 1,
    "headline": "A quokka swims",
    "body_text": "It swims.",
    "type": "text",
}


def page(client: httpx.Client, link: str) -> Any:
    answer = client.get(link, headers=READ)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def until(client: httpx.Client, link: str, kind: str) -> Any:
    """The entry of a kind about the story, from a link on; other entries are passed over."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        data = page(client, f"{link}&wait=15")
        for entry in data["items"]:
            if entry["item"]["uri"] == URI and entry["meta"]["transition"]["kind"] == kind:
                return entry
        link = data["next_page"].removesuffix("&wait=15")
    raise AssertionError(f"the story was not {kind}")


@pytest.mark.parametrize("where", ["processes", "threads"])
def test_a_story_from_its_write_to_its_kill(
    demo_archive: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setenv("DATELINE_SEARCH_IN", where)
    data = shutil.copytree(demo_archive, tmp_path / "data")
    with served(data) as (process, client):
        start = page(client, "/content/feed?begin=now&q=headline:quokka")
        written = client.post("/content", params={"products": "demo"}, json=STORY, headers=WRITE)
        assert written.status_code == 201, written.text
        shown = until(client, start["next_page"], "shown")
        assert shown["item"]["headline"] == STORY["headline"]
        hits = client.get("/content/search", params={"q": "quokka"}, headers=READ).json()
        assert hits["data"]["items"][0]["item"]["uri"] == URI
        other = page(client, "/content/feed?begin=now&q=headline:nothing")
        killed = client.patch(
            f"/content/{URI}/status", json={"pubstatus": "canceled"}, headers=WRITE
        )
        assert killed.status_code == 200, killed.text
        told = until(client, other["next_page"], "killed")
        assert told["item"] == {"uri": URI, "version": 1, "pubstatus": "canceled"}
        _end(process, client, other["next_page"])


def _end(process: Any, client: httpx.Client, link: str) -> None:
    """A request that is held when the service is told to end is answered."""
    data = page(client, link)
    found: list[int] = []

    def hold() -> None:
        with httpx.Client(base_url=client.base_url, timeout=120) as held:
            try:
                while True:
                    found.append(held.get(data["next_page"] + "&wait=15", headers=READ).status_code)
            except httpx.TransportError:
                return  # the service has ended

    thread = threading.Thread(target=hold)
    thread.start()
    while _readers(client) < 1:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    thread.join(120)
    assert {*found} == {200}
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGTERM


def _readers(client: httpx.Client) -> float:
    for line in client.get("/metrics", headers=WRITE).text.splitlines():
        if line.startswith("dateline_feed_readers "):
            return float(line.rpartition(" ")[2])
    raise AssertionError("the service does not tell how many readers it holds")
