"""The page of a model that was made smaller: its verdict, its figures and its layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.report.made import PAGE, made_page, write_page
from inference.measuring.made_report import (
    Cost,
    Figure,
    LayerError,
    MadeReport,
    judged_of,
    texts_of,
)

BEFORE = Figure.mean_of(["<b>ferry</b> sank", "a fire"], [0.9, 0.5])
REPORT = MadeReport(
    "small",
    "large",
    "static",
    (Cost("MB on disk", 90.0, 30.0), Cost("ms of a call of 1x16", 2.0, 3.0)),
    12.5,
    800.0,
    (texts_of("own.txt", ["one", "two"]),),
    (texts_of("others", ["three"]),),
    (),
    (LayerError("layer0/ffn/out", 0.9991, 31.5), LayerError("output", 0.9999, 44.0)),
)


@pytest.mark.parametrize(
    ("after", "verdict"),
    [([0.9, 0.5], "No more than half a point is lost"), ([0.5, 0.6], "More than half a point")],
)
def test_the_verdict_is_that_of_all_sets(after: list[float], verdict: str) -> None:
    other = Figure.mean_of(list(BEFORE.rows), after)
    judged = judged_of("nDCG@10", "news", BEFORE, other, (-0.4, 0.1))
    page = made_page(replace(REPORT, judged=(judged,)))
    assert verdict in page
    assert f"{100 * (np.mean(after) - 0.7):+.2f}" in page
    assert ("&lt;b&gt;ferry&lt;/b&gt; sank" in page) == (judged.worse > 0)
    assert "<b>ferry" not in page


def test_a_model_that_nobody_judged_says_so_and_has_its_layers(tmp_path: Path) -> None:
    write_page(REPORT, tmp_path)
    page = (tmp_path / PAGE).read_text("utf-8")
    assert "not judged" in page
    for shown in ("layer0/ffn/out", "31.5", "0.33", "1.50", "own.txt: 2", "12.5 s"):
        assert shown in page
