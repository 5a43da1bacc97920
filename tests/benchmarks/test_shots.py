"""The shots benchmark's arithmetic, with sides whose answers are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.interpreter import other_interpreter
from benchmarks.media.clip_files import MadeClip, TrueCut
from benchmarks.media.shots import Answer, peer_side, quality, quality_figures, speed

CLIPS = [
    MadeClip(Path("a.mp4"), 300, (TrueCut(99, 100, "hard"), TrueCut(200, 219, "fade"))),
    MadeClip(Path("b.mp4"), 300, (TrueCut(49, 50, "hard"),)),
]
UNCUT = [MadeClip(Path("c.mp4"), 7500, ()), MadeClip(Path("d.mp4"), 7500, ())]
SAID = {"a.mp4": [100, 150, 210], "b.mp4": [], "c.mp4": [10, 20], "d.mp4": [30]}


def test_scores_are_over_all_clips_and_false_cuts_per_ten_minutes() -> None:
    found = quality(lambda path: Answer(1.0, 300, SAID[path.name]), CLIPS, UNCUT)
    told = quality_figures(found)
    assert (told["hard"]["true"], told["hard"]["found"], told["hard"]["false"]) == (2, 1, 1)
    assert told["hard"]["f1"] == pytest.approx(2 / (2 + 1 + 1))
    assert told["gradual"]["recall"] == 1.0
    assert told["gradual"]["precision"] == 0.5
    assert told["false cuts in ten minutes"] == pytest.approx(3)
    assert len(told["missed"]) == 1


def test_rates_are_all_frames_over_a_rounds_seconds_and_the_first_round_does_not_count() -> None:
    asked: list[str] = []

    def side(name: str, seconds: dict[str, float]) -> object:
        def ask(path: Path) -> Answer:
            first = (name, path.name) not in seen
            seen.add((name, path.name))
            asked.append(name)
            return Answer(1000.0 if first else seconds[path.name], 100, [])

        return ask

    seen: set[tuple[str, str]] = set()
    sides = {
        "ours": side("ours", {"x": 1.0, "y": 3.0}),
        "theirs": side("theirs", {"x": 2.0, "y": 6.0}),
    }
    told = speed(sides, [Path("x"), Path("y")], rounds=3)  # type: ignore[arg-type]
    assert told["frames_per_s"] == {"ours": 50.0, "theirs": 25.0}
    assert told["ratio"] == {"dateline / theirs": 2.0}
    assert told["by file"]["y"]["theirs"] == pytest.approx(100 / 6)
    turns = [tuple(asked[at : at + 2]) for at in range(0, len(asked), 2)]
    assert set(turns) == {("ours", "theirs"), ("theirs", "ours")}  # each goes first in turn


def test_a_peer_is_asked_in_its_own_interpreter(tmp_path: Path) -> None:
    answer = json.dumps({"seconds": 2.0, "frames": 50, "boundaries": [7]})
    script = tmp_path / "peer.py"
    script.write_text(
        "import sys, json\nprint(json.dumps({'peer': '1'}), flush=True)\n"
        f"for line in sys.stdin:\n    assert json.loads(line)\n    print('{answer}', flush=True)\n"
    )
    with other_interpreter([sys.executable, str(script)]) as peer:
        assert peer.versions == {"peer": "1"}
        assert peer_side(peer)(Path("film.mp4")) == Answer(2.0, 50, [7])
