"""The table of what can be exchanged: what it shows, and one small run of models by runtimes."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.media.clip_files import TrueCut, write_clip
from benchmarks.models import runtimes
from benchmarks.models.judged import MADE, Quality, changes, data_for, joined, quality
from benchmarks.sides import Side, draw, markdown, side_of
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.settings import configure
from inference.measuring.sample_windows import windows_with_changes

MODEL = "distilbert-ner-news"
SIDES = (
    Side("m (1x16, 64x128)", "one", 1.25, 80.0, 90.4, 22.1, 0.5, 0.9, "nDCG@10", likeness=1.0),
    Side("m (1x16, 64x128)", "two", 0.5, 40.0, chosen=True),
    Side("m", "card", problem="no card"),
)


def test_a_table_has_the_figures_the_choice_and_what_can_t_run_here() -> None:
    _, _, first, second, _, absent = markdown(SIDES).splitlines()
    expected = "1.25 | 80.0 | 90 | 22.1 | 0.50 | 0.9000 nDCG@10 |  | 1.000000 |  |"
    assert first == f"| m (1x16, 64x128) | one | {expected}"
    assert second == "| m (1x16, 64x128) | two | 0.50 | 40.0 |  |  |  |  |  |  | yes |"
    assert absent == "- m by `card`: no card"


def test_rows_that_were_kept_are_the_same_again() -> None:
    kept = [side_of(json.loads(json.dumps(asdict(side)))) for side in SIDES]
    assert markdown(kept) == markdown(SIDES)
    assert math.isnan(side_of({"what": "m", "by": "x", "one_ms": None}).one_ms)


def test_the_same_rows_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(SIDES, tmp_path / name, "Models")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert drawn == (tmp_path / "b.svg").read_text("utf-8")
    assert "m  two" in drawn
    assert "m  card" not in drawn


@pytest.mark.service
def test_a_model_is_measured_and_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtimes, "forms", lambda plan, names: iter(names))  # none in float32
    truth = tmp_path / "own.txt"
    truth.write_text("EU B-ORG\nmet O\n\nPeter B-PER\nBlackburn I-PER\nspoke O\n\n")
    given = ("--models", MODEL, "--runtimes", "onnxruntime:cpu,torch:cpu", "--seconds", "0")
    given += ("--judge", str(truth))
    monkeypatch.setattr(sys, "argv", ["runtimes", *given, "--output", str(tmp_path), "--json"])
    rows = []
    for _ in range(2):
        runtimes.main()
        rows.append(json.loads(capsys.readouterr().out)["rows"])
    (ours, other), again = rows
    assert again == [ours, other], "the second run has measured nothing"
    assert ours["what"] == f"{MODEL} (1x16, 64x16)"
    assert 0 < ours["one_ms"] < ours["many_ms"]
    assert ours["memory_mb"] > 10
    assert ours["start_s"] > 0
    assert ours["disk_mb"] > 10
    assert ours["chosen"] is True
    assert (ours["quality"], ours["measure"]) == (1.0, "entity F1")
    assert other["problem"]
    assert "onnxruntime:cpu" in (tmp_path / "runtimes.md").read_text("utf-8")


def test_the_changes_in_made_windows_are_found() -> None:
    settings = configure({}).settings
    folder = model_store(settings).open("transnetv2-int8")
    runtime = open_runtime(settings, folder, threads=1)
    found = changes(folder, runtime)
    assert found.value > 0.8
    assert len(found.rows) == 24, "one for each window"


def test_the_transitions_of_clips_are_found_and_each_clip_has_a_row(tmp_path: Path) -> None:
    windows, changed = windows_with_changes(2)
    for number, (frames, changes_) in enumerate(zip(windows, changed, strict=True)):
        large = frames.repeat(8, axis=1).repeat(8, axis=2)[:, :208]  # a codec takes 16 by 16
        cuts = [TrueCut(first, last, "dissolve") for first, last in changes_]
        place = tmp_path / f"test-{number:02}.mp4"
        write_clip(place, iter(large), cuts, (384, 208), Fraction(25), "mpeg4")
    settings = configure({}).settings
    folder = model_store(settings).open("transnetv2-int8")
    runtime = open_runtime(settings, folder, threads=1)
    (data,) = data_for("shots", ["datasets/demo", str(tmp_path)])
    found = quality(settings, folder, runtime, data, None)
    assert found.rows[:, 1].min() >= 2, "the two that are there, and what was found"
    assert len(found.rows) == 2
    assert found.value > 0.8
    assert data_for("encode", ["datasets/demo", str(tmp_path)]) == ["datasets/demo"]
    assert data_for("shots", ["datasets/demo"]) == [MADE]


def test_quality_is_told_against_the_first_runtime_on_the_same_rows() -> None:
    first = Quality("entity F1", np.array([[2.0, 2.0], [2.0, 4.0], [0.0, 2.0], [4.0, 4.0]]))
    other = Quality("entity F1", first.rows * [0.5, 1.0])
    same, worse = (runtimes.with_quality(side, {"one": first, "two": other}) for side in SIDES[:2])
    assert same.quality == pytest.approx(8 / 12)
    assert math.isnan(same.points)
    assert worse.points == pytest.approx(-100 * 4 / 12)
    assert worse.low < worse.points < worse.high <= 0
    assert runtimes.with_quality(SIDES[2], {"one": first}) == SIDES[2]
    again = joined([json.loads(json.dumps(one.tree())) for one in (first, other)])
    assert again.value == pytest.approx(12 / 24)
