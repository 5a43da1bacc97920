"""`dateline captions`: photos wait for a batch, and are found when it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.caption_provider import KEY, CaptionServer
from tests.dateline.conftest import Cli

pytest.importorskip("av")
WORDS = ("--products", "demo", "--profile", "lexical")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptionServer]:
    with CaptionServer(key=KEY) as server:
        changes = {
            "CAPTIONER": "openai",
            "CAPTION_MODE": "batch",
            "CAPTION_URL": server.base_url,
            "CAPTION_MODEL": "test-model",
            "CAPTION_KEY": KEY,
            "CAPTION_PRICE_IN": "1",
            "CAPTION_PRICE_OUT": "4",
            "CAPTION_DAILY_SPEND": "1",
            "RERANKER": "",
            "WORK_POLL_S": "0.03",
        }
        for name, value in changes.items():
            monkeypatch.setenv(f"DATELINE_{name}", value)
        yield server


def red_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    spots = rng.integers(0, 40, (6, 8, 3), np.uint8) + np.array([180, 20, 20], np.uint8)
    Image.fromarray(spots).resize((320, 240)).save(path)


def test_a_photo_is_found_when_its_batch_came(
    cli: Cli, folder: Path, provider: CaptionServer
) -> None:
    red_photo(folder / "in" / "a.png")
    tree = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert tree["done"] == 1
    assert [name for name in tree["remarks"] if "batch" in name]
    assert not cli.found("red", *WORDS)
    assert provider.requests == []
    assert cli.json("captions", "status")["unsent"] == 1
    sent = cli.json("captions", "submit")
    assert (sent["batches"], sent["stills"]) == (1, 1)
    status = cli.json("captions", "status")
    assert status["sent"] == 1
    assert list(status["batches"]) == list(provider.batches)
    set_aside = status["spent_today"]
    assert set_aside > 0
    came = cli.json("captions", "collect", "--wait", "--every", "0.1")
    assert (came["captions"], came["applied"], came["open"]) == (1, 1, 0)
    assert cli.json("jobs", "show", tree["job"])["state"] == "running"
    cli("worker", "--until-done")
    assert cli.found("red", *WORDS)
    assert cli.json("jobs", "show", tree["job"])["state"] == "finished"
    assert 0 < cli.json("captions", "status")["spent_today"] < set_aside
    again = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert again["written"] == 0
    assert len(provider.batches) == 1


def test_what_a_day_has_cost_is_told_without_batches_too(
    cli: Cli, folder: Path, provider: CaptionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cap that one call reaches ends captions, and nothing else; a higher one goes on."""
    monkeypatch.setenv("DATELINE_CAPTION_MODE", "calls")
    monkeypatch.setenv("DATELINE_CAPTION_DAILY_SPEND", "0.0001")
    red_photo(folder / "in" / "a.png")
    capped = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert (capped["done"], capped["captioned"], provider.requests) == (1, 0, [])
    assert cli.json("captions", "status")["spent_today"] == 0
    monkeypatch.setenv("DATELINE_CAPTION_DAILY_SPEND", "1")
    raised = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert (raised["decoded"], raised["captioned"]) == (0, 1)
    status = cli.json("captions", "status")
    assert (status["spent_today"], status["daily_spend"]) == (pytest.approx(0.00114), 1)


def test_batches_need_a_provider(writing: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_RERANKER", "")
    told = writing("captions", "submit", code=3)
    assert "caption_mode" in told.output
    monkeypatch.setenv("DATELINE_CAPTION_MODE", "batch")
    monkeypatch.setenv("DATELINE_CAPTIONER", "a-model-of-mine")
    assert "caption_mode to calls" in writing("captions", "status", code=3).output
