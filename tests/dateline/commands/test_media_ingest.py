"""`dateline ingest`, `worker` and `jobs` on photos and videos, with a provider of captions."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.work import READ, STAGES
from tests.caption_provider import KEY, CaptionServer
from tests.dateline.conftest import Cli, write_lines
from tests.dateline.serving.test_left_behind import open_to_others
from tests.otlp_collector import collecting

pytestmark = pytest.mark.service

pytest.importorskip("av")
ROOT = Path(__file__).resolve().parents[3]
WORDS = ("--products", "demo", "--profile", "lexical")
PHOTOS = 30  # more than are done before a signal is heard
COMPUTED = ("decoded", "shots", "captioned", "shared", "embedded", "written")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptionServer]:
    with CaptionServer(key=KEY) as server:
        monkeypatch.setenv("DATELINE_CAPTIONER", "openai")
        monkeypatch.setenv("DATELINE_CAPTION_URL", server.base_url)
        monkeypatch.setenv("DATELINE_CAPTION_MODEL", "test-model")
        monkeypatch.setenv("DATELINE_CAPTION_KEY", KEY)
        yield server


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the reranker, and with quick tries."""
    monkeypatch.setenv("DATELINE_RERANKER", "")
    monkeypatch.setenv("DATELINE_WORK_POLL_S", "0.03")
    monkeypatch.setenv("DATELINE_WORK_RETRY_S", "0.05")


def photo(path: Path, seed: int, size: tuple[int, int] = (400, 300)) -> Path:
    """A photo of soft spots of colour that the seed decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def computed(tree: dict[str, int]) -> dict[str, int]:
    return {name: tree[name] for name in COMPUTED if tree[name]}


def test_photos_and_documents_of_a_folder_are_found_and_the_second_time_is_no_work(
    cli: Cli, folder: Path, provider: CaptionServer
) -> None:
    place = folder / "in"
    for number in range(3):
        photo(place / f"{number}.jpg", number)
    (place / "0.json").write_text(
        json.dumps({"uri": "urn:quay", "headline": "Ferry at the quay"}), "utf-8"
    )
    story = {"uri": "urn:story", "type": "text", "headline": "Ferry aground off Kalymira"}
    write_lines(place / "wire.jsonl", story)
    first = cli.json("ingest", place, "--products", "demo")
    assert first["read"] == 1
    assert first["created"] == 1
    assert computed(first["media"]) == {
        "decoded": 3,
        "captioned": 3,
        "embedded": 3,
        "written": 3,
    }
    assert set(cli.found("ferry", *WORDS)) == {"urn:story", "urn:quay"}
    captions = [json.loads(seen.body) for seen in provider.asked()]
    assert len(captions) == 3
    second = cli.json("ingest", place, "--products", "demo")
    assert second["unchanged"] == 1
    assert computed(second["media"]) == {}
    assert len(provider.asked()) == 3
    assert {path.name for path in cli.data.iterdir()} >= {"media", "ledger.sqlite", "work.sqlite"}
    assert open_to_others(cli.data) == []


def test_an_asset_is_one_trace_from_the_order_until_it_is_found_and_its_costs_are_counted(
    cli: Cli, folder: Path, provider: CaptionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    monkeypatch.setenv("DATELINE_OTEL", "true")
    monkeypatch.setenv("DATELINE_CAPTION_PRICE_IN", "1")
    monkeypatch.setenv("DATELINE_CAPTION_PRICE_OUT", "1")
    path = photo(folder / "in" / "1.jpg", 1)
    cli("ingest", path, "--products", "demo", "--detach")
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        cli("worker", "--until-done")
    (found,) = collector.named("searchable")
    spans = [span for span in collector.spans if span.trace == found.trace]
    assert collector.path(found)[-2:] == ["apply", "searchable"]
    stages = {"order", "decode", "describe", "chat test-model", "apply", "embed", "record"}
    assert {span.name for span in spans} >= stages
    assert len({span.trace for span in spans}) == 1
    assert not found.failed
    tokens = collector.metrics["dateline_caption_tokens"].sum.data_points
    assert sum(point.as_double for point in tokens) > 0
    (spent,) = collector.metrics["dateline_caption_spend"].sum.data_points
    assert spent.as_double > 0
    ages = collector.metrics["dateline_work_oldest_seconds"].gauge.data_points
    assert len(ages) == len({READ, *STAGES})
    bodies = b"\n".join(collector.bodies)
    assert KEY.encode() not in bodies
    assert str(path).encode() not in bodies


def test_a_picture_is_found_by_what_a_machine_says_of_it(
    cli: Cli, folder: Path, provider: CaptionServer
) -> None:
    path = folder / "in" / "red.png"
    path.parent.mkdir()
    rng = np.random.default_rng(5)
    spots = rng.integers(0, 40, (6, 8, 3), np.uint8) + np.array([180, 20, 20], np.uint8)
    Image.fromarray(spots).resize((320, 240)).save(path)
    cli("ingest", path, "--products", "demo")
    assert cli.found("red", *WORDS)


def test_what_can_t_be_read_is_told_shown_mended_and_replayed(cli: Cli, folder: Path) -> None:
    place = folder / "in"
    photo(place / "good.jpg", 1)
    bad = place / "bad.jpg"
    bad.write_bytes(b"no picture at all")
    tree = cli.json("ingest", place, "--products", "demo", code=1)["media"]
    assert (tree["found"], tree["done"], tree["failed"]) == (2, 1, 1)
    (failure,) = tree["failures"]
    assert failure["file"] == str(bad)
    assert failure["stage"] == "decode"
    assert failure["cause"]
    listed = cli.json("jobs", "failed")
    assert [entry["asset"] for entry in listed] == [failure["asset"]]
    shown = cli.json("jobs", "show", failure["asset"])
    assert shown["attempts"] == 3
    assert shown["state"] == "dead"
    photo(bad, 2)
    assert "1 are tried again" in cli("jobs", "replay", failure["asset"]).output
    assert cli.json("jobs", "show", tree["job"])["state"] == "running"
    cli("worker", "--until-done")
    after = cli.json("jobs", "show", tree["job"])
    assert (after["state"], after["done"], after["failed"]) == ("finished", 2, 0)
    assert cli.json("jobs", "failed") == []


def test_a_worker_without_an_archive_says_that_it_makes_one(cli: Cli) -> None:
    assert f"no archive in {cli.data}" in cli("worker", "--until-done").stderr
    assert "no archive" not in cli("worker", "--until-done").stderr
    assert cli.json("jobs", "list") == []


def test_an_ingest_is_only_ordered_and_workers_do_it(cli: Cli, folder: Path) -> None:
    place = folder / "in"
    for number in range(5):
        photo(place / f"{number}.jpg", number)
    manifest = folder / "list.csv"
    manifest.write_text("location,headline\nin/0.jpg,Ferry\nin/gone.jpg,Gone\n", "utf-8")
    ordered = cli.json("ingest", "--manifest", manifest, "--products", "demo", "--detach")
    name = ordered["media"]["job"]
    assert cli.json("jobs", "list")[0]["state"] == "running"
    cli("jobs", "pause", name)
    cli("worker", "--until-done")
    assert cli.json("jobs", "show", name)["done"] == 0
    cli("jobs", "resume", name)
    cli("worker", "--until-done", "--queues", "read,decode,describe,apply")
    tree = cli.json("jobs", "show", name)
    assert (tree["state"], tree["done"], tree["failed"]) == ("finished", 1, 1)
    (dead,) = cli.json("jobs", "failed", name)
    assert dead["location"].endswith("list.csv:3")
    cli("jobs", "drop", dead["asset"])
    assert cli.json("jobs", "failed") == []
    cli("jobs", "cancel", name, code=2)  # it is finished
    assert cli.found("ferry", *WORDS)


def test_a_worker_for_models_and_one_for_the_rest_do_it_together(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_MODELS_APART", "true")
    for number in range(3):
        photo(folder / "in" / f"{number}.jpg", number)
        sidecar = folder / "in" / f"{number}.json"
        sidecar.write_text(json.dumps({"headline": f"Ferry {number}"}), "utf-8")
    name = cli.json("ingest", folder / "in", "--products", "demo", "--detach")["media"]["job"]
    command = [Path(sys.executable).with_name("dateline"), "worker", "--data", str(cli.data)]
    others = subprocess.Popen(
        [*command, "--queues", "read,decode,apply"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        cli("worker", "--queues", "models", "--until-done")
        tree = cli.json("jobs", "show", name)
        assert (tree["state"], tree["done"], tree["embedded"]) == ("finished", 3, 3)
    finally:
        others.send_signal(signal.SIGINT)
        _, told = others.communicate(timeout=240)
    assert others.returncode == 130, told
    assert len(cli.found("ferry", "--products", "demo", "--profile", "vector")) == 3


@pytest.mark.parametrize("name", ["WORK_CHUNKS", "WORK_BATCH"])
def test_a_queue_that_is_none_is_told(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    photo(folder / "in" / "a.jpg", 1)
    monkeypatch.setenv(f"DATELINE_{name}", json.dumps({"paint": 2}))
    told = cli("ingest", folder / "in", "--products", "demo", code=3)
    assert "paint" in told.output


def test_old_jobs_are_forgotten_and_what_they_computed_is_not(cli: Cli, folder: Path) -> None:
    photo(folder / "in" / "good.jpg", 1)
    first = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    (folder / "in" / "bad.jpg").write_bytes(b"no picture at all")
    second = cli.json("ingest", folder / "in", "--products", "demo", code=1)["media"]
    names = {first["job"], second["job"]}
    assert cli.json("jobs", "prune") == []
    assert {job["job"] for job in cli.json("jobs", "list")} == names
    cli("jobs", "prune", "--older-than", "a year", code=2)
    assert cli.json("jobs", "prune", "--older-than", "0m") == [first["job"]]
    assert [job["job"] for job in cli.json("jobs", "list")] == [second["job"]]
    assert len(cli.json("jobs", "failed")) == 1
    orders = sqlite3.connect(cli.data / "work.sqlite")
    kept = {job for (job,) in orders.execute("SELECT job FROM dateline_assets")}
    orders.close()
    assert kept == {second["job"]}
    assert cli.json("jobs", "prune", "--older-than", "0m", "--with-failed") == [second["job"]]
    (folder / "in" / "bad.jpg").unlink()
    again = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert (again["done"], computed(again)) == (1, {})


def test_shares_of_a_folder_are_the_whole(cli: Cli, folder: Path) -> None:
    for number in range(6):
        photo(folder / "in" / f"{number}.jpg", number)
    found = [
        cli.json("ingest", folder / "in", "--shard", f"{n}/2", "--products", "demo")["media"]
        for n in (1, 2)
    ]
    assert sum(tree["found"] for tree in found) == 6
    assert sum(tree["decoded"] for tree in found) == 6


def test_what_is_wrong_is_said(cli: Cli, folder: Path) -> None:
    cli("ingest", folder / "nowhere", code=2)
    cli("ingest", code=2)
    photo(folder / "a.jpg", 1)
    cli("ingest", folder / "a.jpg", "--shard", "4/3", code=2)
    cli("worker", "--queues", "decode,paint", code=2)
    cli("jobs", "show", "nothing", code=2)
    cli("jobs", "show", "nothing:x", code=2)
    http = cli.json("ingest", "http://127.0.0.1:1/a.jpg", code=1)
    assert "no store" in http["media"]["trouble"]


def test_captions_are_not_passed_over_and_alone_are_refused(cli: Cli, folder: Path) -> None:
    photo(folder / "in" / "a.jpg", 1)
    (folder / "in" / "a.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:02.000\nThe ferry.\n")
    tree = cli.json("ingest", folder / "in", "--products", "demo")
    assert tree["ignored_by_kind"] == {}
    told = cli("ingest", folder / "in" / "a.vtt", code=2)
    assert "name the photo or the video itself" in " ".join(told.output.split())


@pytest.mark.parametrize(
    "besides",
    [
        ["wire.jsonl"],
        ["--manifest", "list.csv"],
        ["--shard", "1/2"],
        ["--detach"],
        ["--strict"],
        ["--json"],
    ],
)
def test_a_folder_is_watched_and_nothing_else(cli: Cli, folder: Path, besides: list[str]) -> None:
    """What it would not do is refused, and not passed over; here nothing ends it otherwise."""
    told = cli("ingest", "--watch", folder / "nowhere", *besides, code=2)
    named = "PATHS" if besides[0] == "wire.jsonl" else besides[0]
    assert f"--watch goes without {named}" in " ".join(told.output.split())
    assert not cli.data.exists()


def test_without_the_extra_documents_go_in_and_photos_are_told_about(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str, *rest: object) -> object:
        return None if name in ("av", "fsspec") else find_spec(name)

    monkeypatch.setattr("core.extras.find_spec", without)
    photo(folder / "in" / "a.jpg", 1)
    write_lines(folder / "in" / "wire.jsonl", {"uri": "urn:s", "type": "text", "headline": "Ferry"})
    told = cli("ingest", folder / "in", "--products", "demo", code=2)
    assert "dateline-search[media]" in told.output
    assert "av, fsspec" in told.output
    assert cli.found("ferry", *WORDS) == ["urn:s"]


def test_an_interrupted_ingest_goes_on_with_the_same_command(cli: Cli, folder: Path) -> None:
    for number in range(PHOTOS):
        photo(folder / "in" / f"{number}.jpg", number, (1600, 1200))
    arguments = ["ingest", str(folder / "in"), "--products", "demo", "--data", str(cli.data)]
    running = subprocess.Popen(
        [Path(sys.executable).with_name("dateline"), *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATELINE_WORK_CHUNK": "2"},
    )
    deadline = time.monotonic() + 240
    while not list(cli.data.glob("media/*/*.jpg")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=240)
    assert running.returncode == 130, told
    assert b"goes on" in told
    (job,) = cli.json("jobs", "list")
    assert job["state"] == "running"
    assert 0 <= job["done"] < PHOTOS
    again = cli.json("ingest", folder / "in", "--products", "demo")["media"]
    assert again["job"] == job["job"]
    assert (again["found"], again["done"], again["decoded"]) == (PHOTOS, PHOTOS, PHOTOS)
