"""`dateline shots` as a person runs it: on files, on pipes, and on what is no video."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from benchmarks.media.live_writer import start_writer
from dateline.cli import app
from tests.demo_service import COMMAND, ROOT

pytestmark = pytest.mark.service

RATE, FRAMES, CUTS = 30, 120, (30, 60, 90)
LONG_AGO = 1.0  # a writer that began then has nothing to wait for


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shots of one colour each."""
    path = tmp_path_factory.mktemp("shots") / "four [shots].ts"
    with start_writer("ts", str(path), rate=RATE, frames=FRAMES, cuts=CUTS, start=LONG_AGO):
        pass
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["shots", *map(str, arguments)])


def bounds(shots: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(shot["start_frame"], shot["end_frame"]) for shot in shots]


EXPECTED = [(0, 29), (30, 59), (60, 89), (90, 119)]


def test_json_has_shots_facts_and_notes_and_the_page_a_still_of_each(
    video: Path, tmp_path: Path
) -> None:
    page = tmp_path / "sheet.html"
    done = run(video, "--json", "--html", page)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert bounds(told["shots"]) == EXPECTED
    for shot in told["shots"]:
        assert set(shot) == {"start_s", "end_s", "start_frame", "end_frame", "transition"}
        assert shot["start_s"] == pytest.approx(shot["start_frame"] / RATE, abs=1e-3)
    ends = [shot["end_s"] for shot in told["shots"][:-1]]
    assert ends == [shot["start_s"] for shot in told["shots"][1:]]
    assert [shot["transition"] for shot in told["shots"]] == ["start", "cut", "cut", "cut"]
    assert (told["facts"]["width"], told["facts"]["height"]) == (96, 64)
    assert told["gaps"] == []
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 4
    assert "four [shots].ts" in text
    assert "00:00:03.000" in text


def test_the_table_has_timecodes_and_transitions(video: Path) -> None:
    done = run(video)
    assert done.exit_code == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][:3] == ["shot", "from", "to"]
    assert rows[2][:4] == ["2", "00:00:01.000", "00:00:02.000", "1.00"]
    assert rows[2][-1] == "cut"
    assert len(rows) == 5
    assert "120 frames" in done.stderr  # the progress, with its rate


def test_a_shot_of_a_pipe_is_told_while_the_pipe_is_open(video: Path) -> None:
    sent, held_back = np.array_split(np.frombuffer(video.read_bytes(), np.uint8), [-5000])
    command = [*COMMAND, "shots", "-", "--live", "--json"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, cwd=ROOT, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(sent.tobytes())
        first = json.loads(process.stdout.readline())  # though more may come
        process.stdin.write(held_back.tobytes())
        process.stdin.close()
        rest = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert bounds([first, *rest]) == EXPECTED


def test_live_finds_what_a_file_gives_and_can_have_a_page(video: Path, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    done = run(video, "--live", "--json", "--grown", "0.5", "--html", page)
    assert done.exit_code == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert bounds(told) == EXPECTED
    assert [shot["transition"] for shot in told] == ["start", "cut", "cut", "cut"]
    assert page.read_text("utf-8").count("data:image/jpeg;base64,") == 4


def cut_off(video: Path, path: Path) -> Path:
    """The same in Matroska, whose header says how long it is, without its second half."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    os.truncate(path, path.stat().st_size // 2)
    return path


def test_what_can_not_be_read_is_said(video: Path, tmp_path: Path) -> None:
    path = cut_off(video, tmp_path / "cut off.mkv")
    done = run(path, "--json", "--html", tmp_path / "sheet.html")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["shots"][0]["end_frame"] == 29
    last, gap = told["shots"][-1], told["gaps"][-1]
    assert last["end_s"] <= gap["start_s"] < gap["end_s"] == pytest.approx(FRAMES / RATE, abs=0.1)
    assert gap["reason"]
    assert gap["reason"] in (tmp_path / "sheet.html").read_text("utf-8")


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_what_is_no_video_is_said_with_what_to_do(video: Path, tmp_path: Path) -> None:
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear editor, " * 500)
    cases = {
        str(letter): "no picture, video or sound",
        str(tmp_path / "nothing.mp4"): "can't be opened",
        str(sound(tmp_path / "sound.m4a")): "it holds sound only",
        "rtsp://127.0.0.1/camera": "add --live",
        "-": "add --live",
    }
    for source, said in cases.items():
        done = run(source)
        assert done.exit_code == 2, (source, done.stderr)
        assert said in " ".join(done.stderr.split()), (source, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    for more, said in {
        ("--html", tmp_path): "no page can be written",
        ("--stride", "90"): "stride",
        ("--stride", "0"): "stride",
    }.items():
        done = run(video, *more)
        assert done.exit_code in (2, 3), (more, done.stderr)
        assert said in done.stderr.lower()


def test_a_missing_extra_is_said_with_how_to_install_it(video: Path) -> None:
    lacking = "import sys; sys.modules['av'] = None; from dateline.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", lacking, "shots", str(video)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'dateline-search[media]'" in done.stderr
