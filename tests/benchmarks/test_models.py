"""The benchmarks of the models, on sizes that take a moment: that they measure what they say."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from benchmarks.models import costs as models
from benchmarks.models.rerank_http import Sides
from benchmarks.models.stock import Both
from core.errors import SettingsError
from dateline.build.models.subject import open_subject
from dateline.settings import configure
from inference.measuring.profiling import Subject, product_operations

ENCODER = "all-MiniLM-L6-v2"


def figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["models", "--seconds", "0", *arguments])
    models.main()
    return capsys.readouterr().out


def test_every_row_has_ours_the_bare_graph_and_the_bound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    works = ("--work", "encode:2x16:0.5", "--work", "score:2x24")
    shown = figures(monkeypatch, capsys, *works, "--reranker", ENCODER, "--json")
    tree: dict[str, Any] = json.loads(shown)["figures"]
    assert set(tree["rows"]) == {"encode 2 x 16", "rerank 2 x 24"}
    assert tree["models"]["rerank"] == f"{ENCODER} in onnxruntime"
    for row in tree["rows"].values():
        assert row["bare p50_ms"] > 0
        assert row["bound_ms"] > 0
        assert row["ours p50_ms"] <= row["ours p90_ms"]
        assert row["ours / bare"] == pytest.approx(row["ours p50_ms"] / row["bare p50_ms"])
    encode = tree["rows"]["encode 2 x 16"]
    assert encode["ours / floor"] == pytest.approx(encode["ours p50_ms"] / 0.5)
    # encode's figures are of one text, the others' of a call
    assert encode["texts_per_s"] == pytest.approx(1000 / encode["ours p50_ms"])
    assert tree["rows"]["rerank 2 x 24"]["ours / floor"] == 0


def test_a_floor_that_is_missed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    works = ("--work", "tag:1x8:0.0001", "--work", "tag:1x9:100000")
    shown = figures(monkeypatch, capsys, *works)
    assert "tag 1 x 8: 1.5 x 0.0001 ms MISSED" in shown
    assert "tag 1 x 9: 1.5 x 100000 ms reached" in shown
    assert "int8 GFLOP/s" in shown


@pytest.mark.parametrize("text", ["encode", "encode:1", "draw:1x2", "tag:1x2:fast", "tag:ax2"])
def test_a_work_that_is_none(text: str) -> None:
    with pytest.raises(SystemExit, match="TASK:TEXTSxTOKENS"):
        models.read_work(text)


@pytest.mark.parametrize(
    ("candidates", "tokens", "added"),
    [(30, 64, "score:30x64:60"), (20, 48, ""), (30, 0, "")],
)
def test_the_shape_in_the_settings_is_measured_too(
    candidates: int, tokens: int, added: str
) -> None:
    flags = {"rerank_candidates": candidates, "rerank_tokens": tokens}
    found = models.default_works(configure(flags).settings)
    assert found == ((*models.WORKS, added) if added else models.WORKS)


def opened() -> Subject:
    subject = open_subject(configure({}).settings, ENCODER, 5, 128)
    subject.call()
    return subject


def test_the_bare_call_runs_what_ours_ran() -> None:
    """The same batches: the runtime below, which both go through, is asked the same again."""
    subject = opened()
    shapes = [call.arrays["input_ids"].shape for call in subject.runtime.calls]
    assert shapes == [(4, 128), (1, 128)]
    models.bare_call(subject)()
    assert len(subject.runtime.calls) == 2  # it goes to the session itself


def test_what_is_measured_runs_in_the_runtime_that_serves() -> None:
    settings = configure({"runtimes": {ENCODER: "no-such"}}).settings
    open_subject(settings, ENCODER, 1, 12)  # a profile counts ONNX Runtime's operators
    with pytest.raises(SettingsError, match="no-such"):
        open_subject(settings, ENCODER, 1, 12, as_served=True)


def test_the_bound_counts_every_product_once() -> None:
    found = product_operations(opened())
    assert found["int8"] == pytest.approx(2 * 5 * 128 * 12 * 384**2 * 6)
    assert found["float32"] >= 4 * 5 * 128**2 * 384 * 6


def test_rerank_is_measured_against_its_floor_and_three_milliseconds() -> None:
    row = Sides([0.060] * 99 + [0.2], [0.01], [0.027], short=10).figures()
    assert row["p50 / (floor + 3 ms)"] == pytest.approx(2.0)
    assert row["cut short"] == pytest.approx(0.1)
    assert row["p99 / (floor + 3 ms)"] > 2.0


def test_ours_is_compared_with_the_faster_stock() -> None:
    row = Both("encode", opened(), {}, [0.01], {0: [0.08], 1: [0.05]}).figures()
    assert row["encode times faster"] == pytest.approx(5.0)
    assert row["encode stock p50_ms"] == pytest.approx(80.0)
