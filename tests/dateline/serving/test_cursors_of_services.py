"""Two services over one archive, and one after the other: cursors go on, topics are in force, a
key's rate is one.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.dateline.serving.test_serve import served

pytestmark = pytest.mark.service


def ask(client: httpx.Client, **params: Any) -> httpx.Response:
    headers = {"x-api-key": DEMO_READ_KEY}
    return client.get("/content/search", params={"page_size": 1, **params}, headers=headers)


def uris(answer: httpx.Response) -> list[str]:
    return [entry["item"]["uri"] for entry in answer.json()["data"]["items"]]


def test_a_cursor_goes_on_in_another_service_and_after_a_restart(
    filled: Path, folder: Path
) -> None:
    archive = folder / "archive"
    shutil.copytree(filled, archive)
    with served(archive) as (process, one):
        whole = uris(ask(one, q="ferry", page_size=200))
        first = ask(one, q="ferry")
        with served(archive) as (_, other):
            second = ask(other, q="ferry", cursor=first.json()["data"]["cursor"])
            assert uris(first) + uris(second) == whole[:2]
        desk = {"x-api-key": DEMO_INGEST_KEY}
        assert "dateline_cursors_shared 1.0" in one.get("/metrics", headers=desk).text
        process.kill()
    with served(archive) as (_, later):
        again = ask(later, q="ferry", cursor=first.json()["data"]["cursor"])
        assert uris(again) == whole[1:2]
        forged = ask(later, cursor=f"{'x' * 16}.1.2")
        assert (forged.status_code, forged.json()["error"]["code"]) == (410, "cursor_expired")


def test_services_of_one_host_count_a_keys_rate_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_KEY_RATE", "0.01")  # one in a hundred seconds
    archive = folder / "archive"
    with served(archive) as (_, one), served(archive) as (process, other):
        answers = [ask(client, q="ferry") for client in (one, other, one)]
        assert [answer.status_code for answer in answers] == [200, 429, 429]
        assert 60 < int(answers[1].headers["retry-after"]) <= 100
        assert one.get("/healthz").status_code == 200
        process.kill()
    with served(archive) as (_, later):
        assert ask(later, q="ferry").status_code == 429
