from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import dateline
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.dateline.conftest import Cli
from tests.free_ports import free_port

pytestmark = pytest.mark.service

# A shell that starts tests in the background has SIGINT ignored, and children would inherit that.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from dateline.cli import main; main()"
)


ROOT = Path(dateline.__file__).parent.parent


@contextmanager
def served(
    data: Path, *flags: str, start: str = START, log: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A service with the demo's keys in a process of its own, answering; without a reranker, unless
    a variable names one. Whoever asks it more than a hundred times names a file for its log: the
    pipe that nobody reads is full then, and the service stops.
    """
    port = free_port()
    kept = subprocess.PIPE if log is None else os.open(log, os.O_WRONLY | os.O_CREAT)
    command = [sys.executable, "-P", "-c", start, "serve", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--demo", *flags],
        stdout=kept,
        stderr=kept,
        text=True,
        env={"DATELINE_RERANKER": "", **os.environ, "PYTHONPATH": str(ROOT)},
    )
    transport = httpx.HTTPTransport(retries=8)  # waits longer each time, two minutes in all
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=120
        ) as client:
            assert client.get("/healthz").status_code == 200
            yield process, client
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        if log is not None:
            os.close(kept)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--models-only",),
        ("--host", "0.0.0.0", "--demo"),
        ("--host", "::", "--demo"),
        ("--host", "192.0.2.1", "--demo"),
    ],
)
def test_serve_refuses_to_start_without_keys(cli: Cli, flags: tuple[str, ...]) -> None:
    result = cli("serve", *flags, code=3)
    assert "no keys are configured" in result.stderr
    assert "DATELINE_KEYS" in result.stderr
    assert not cli.data.exists()  # refused before anything was made


def test_serve_answers_and_ctrl_c_stops_it(filled: Path, folder: Path) -> None:
    shutil.copytree(filled, folder / "archive")
    with served(folder / "archive") as (process, client):
        assert client.get("/content/search").status_code == 401
        read, write = {"x-api-key": DEMO_READ_KEY}, {"x-api-key": DEMO_INGEST_KEY}
        answer = client.get("/content/search", params={"q": "ferry"}, headers=read).json()
        found = [entry["item"]["uri"] for entry in answer["data"]["items"]]
        assert set(found[:2]) == {"urn:ferry", "urn:photo"}
        assert client.get("/readyz").status_code == 200
        other = Cli(folder / "archive")  # another process's kill is in force at once
        other("set-status", "urn:ferry", "canceled")
        answer = client.get("/content/search", params={"q": "ferry"}, headers=read).json()
        assert "urn:ferry" not in str(answer["data"]["items"])
        fresh = {"uri": "urn:new", "headline": "Lighthouse relit", "products": ["demo"]}
        assert client.post("/content", json=fresh, headers=write).is_success
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=240)
    # uvicorn ends its work first and then raises the signal again: a shell sees an interrupt
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "everything acknowledged is kept" in errors
    assert f"curl -H 'x-api-key: {DEMO_READ_KEY}'" in output
    assert other.found("lighthouse", "--profile", "lexical") == ["urn:new"]


def test_a_demo_of_an_empty_folder_has_the_demo_corpus(folder: Path) -> None:
    read = {"x-api-key": DEMO_READ_KEY}
    with served(folder / "archive") as (process, client):
        answer = client.get("/content/search", params={"q": "ferry"}, headers=read).json()
        assert answer["data"]["items"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=240)


def test_sigterm_stops_it_too(filled: Path, folder: Path) -> None:
    shutil.copytree(filled, folder / "archive")
    with served(folder / "archive") as (process, _):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in errors
    assert len(Cli(folder / "archive").found("")) == 3


def copied_models(folder: Path, changed: Sequence[str]) -> Path:
    """The bundled models for texts; of those in `changed` one byte of the graph is another."""
    for name in ("all-MiniLM-L6-v2", *changed):
        shutil.copytree(ROOT / "models" / name, folder / name)
    for name in changed:
        (graph,) = (folder / name).glob("*.onnx")
        content = bytearray(graph.read_bytes())
        content[len(content) // 2] ^= 1
        graph.write_bytes(content)
    return folder


def test_models_whose_files_were_changed_are_told_at_start_and_with_each_answer(
    filled: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATELINE_TAGGER")
    monkeypatch.setenv("DATELINE_RERANKER", "bge-small-en-v1.5")
    shutil.copytree(filled, folder / "archive")
    wanted = {"tagger": "distilbert-ner-news", "reranker": "bge-small-en-v1.5"}
    models = copied_models(folder / "models", tuple(wanted.values()))
    no_tagger = "names: skipped, the tagger could not be loaded"
    no_reranker = "rerank: skipped, the reranker could not be loaded"
    key = {"x-api-key": DEMO_READ_KEY}
    with served(folder / "archive", "--models", str(models)) as (process, client):
        for use in ("boost", "filter"):
            asked = {"q": "ferry in Kalymira", "entities": use}
            data = client.get("/content/search", params=asked, headers=key).json()["data"]
            assert data["degraded"] == [no_tagger]
            assert any("not looked for" in note for note in data["understood"]["notes"])
        asked = {"q": "ferry in Kalymira", "profile": "hybrid-rerank"}
        data = client.get("/content/search", params=asked, headers=key).json()["data"]
        assert set(data["degraded"]) == {no_tagger, no_reranker}
        assert client.get("/readyz").status_code == 200  # it answers, by what is there
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=240)
    asking = ("search", "ferry in Kalymira", "--models", str(models))
    plain = Cli(folder / "archive")(*asking)
    assert "reranker" not in plain.stderr  # its profile asks none
    searched = Cli(folder / "archive")(*asking, "--profile", "hybrid-rerank")
    assert no_tagger in searched.stdout
    for said in (errors, searched.stderr):
        lines = [line for line in said.splitlines() if "not loaded:" in line]
        assert len(lines) == len(wanted)
        for line, (role, name) in zip(lines, wanted.items(), strict=True):
            assert f"{role} {name}" in line
            assert "restore the file" in line


def test_a_port_in_use_is_an_error(filled: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-P", "-c", START, "serve", "--demo", "--data", str(filled)]
        result = subprocess.run(
            [*command, "--port", port],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert result.returncode not in (0, 130)
    assert port in result.stderr
    assert "Traceback" not in result.stderr
