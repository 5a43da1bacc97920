"""Speech from the file to the search and the subtitles, with a service that transcribes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dateline.build.models.runtimes import model_store
from dateline.settings import configure
from tests.dateline.conftest import Cli
from tests.speech_provider import KEY, RATE, SpeechServer, silence, tone

pytestmark = pytest.mark.service

av = pytest.importorskip("av")
PULLED = os.environ.get("DATELINE_PULLED_MODELS", "")  # a test sees no setting from outside
DEMO = Path(__file__).parents[3] / "datasets/demo/media"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechServer]:
    with SpeechServer({440: "thank you all", 880: "the harbour is closed"}) as server:
        for name, value in {
            "RERANKER": "",
            "WORK_POLL_S": "0.03",
            "TRANSCRIBER": "openai",
            "TRANSCRIBE_URL": server.base_url,
            "TRANSCRIBE_MODEL": "whisper-1",
            "TRANSCRIBE_KEY": KEY,
        }.items():
            monkeypatch.setenv(f"DATELINE_{name}", value)
        yield server


def write_sound(path: Path) -> Path:
    """Four seconds of one tone, and from second 12 on three of another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.concatenate([silence(1), tone(880, 3), silence(8), tone(440, 3), silence(1)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_spoken_word_is_found_with_its_second_and_printed(
    cli: Cli, folder: Path, service: SpeechServer
) -> None:
    write_sound(folder / "in" / "clip.wav")
    (folder / "in" / "clip.json").write_text(json.dumps({"uri": "urn:clip"}))
    told = cli.json("ingest", folder / "in", "--products", "demo")
    assert told["media"]["failed"] == 0
    assert cli.found("harbour", "--profile", "lexical") == ["urn:clip"]
    assert cli.found("speech:thank", "--profile", "lexical") == ["urn:clip"]
    lines = cli("transcript", "urn:clip").stdout.splitlines()
    assert lines[0] == "WEBVTT"
    assert lines[2].startswith("NOTE Made by a machine: whisper-1@")
    assert lines[4:6] == ["00:00:01.000 --> 00:00:04.000", "the harbour is closed"]
    tree = json.loads(cli("transcript", "urn:clip", "--format", "json").stdout)
    assert [line["start_s"] for line in tree["lines"]] == [1.0, 12.0]
    assert len(service.asked) == 1
    unknown = cli("transcript", "urn:none", code=None)
    assert unknown.exit_code != 0
    for hidden in (("--embargo", "2999-01-01T00:00:00Z"), ("canceled",)):
        cli("set-status", "urn:clip", *hidden)
        refused = cli("transcript", "urn:clip", code=None)
        assert refused.exit_code == unknown.exit_code
        assert refused.output == unknown.output.replace("urn:none", "urn:clip")


@pytest.mark.deep
@pytest.mark.parametrize("name", ["inaugural-1961", "reserve-thanks"])
def test_the_demos_transcripts_are_those_that_the_command_makes(
    cli: Cli, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faster_whisper", reason="needs the [speech] extra")
    if PULLED:
        monkeypatch.setenv("DATELINE_PULLED_MODELS", PULLED)
    if model_store(configure().settings).place("whisper-base") is None:
        pytest.skip("whisper-base was not pulled")
    (folder / "in").mkdir()
    for end in ("mp4", "mp4.json"):
        shutil.copy(DEMO / f"{name}.{end}", folder / "in")
    cli("ingest", folder / "in", "--products", "demo")
    made = cli("transcript", f"urn:newsml:dateline.example:demo-media:{name}").stdout
    assert made == (DEMO / f"{name}.vtt").read_text("utf-8")


def test_the_demos_clip_opens_where_she_says_thank_you(cli: Cli) -> None:
    """Without a model: the transcript beside the clip says it, and that a machine wrote it down."""
    told = cli.json("ingest", DEMO / "reserve-thanks.mp4", "--products", "demo")
    assert told["media"]["failed"] == 0
    answer = cli.json("search", "find where she says thank you")
    (hit,) = answer["data"]["items"]
    opens = hit["meta"]["opens_at"]
    assert (opens["field"], opens["second"]) == ("speech", 0.0)
    assert opens["made_by"].startswith("whisper-base@")
