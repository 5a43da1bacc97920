"""`dateline tune fusion` over the demo: the pipeline that serves, a report, settings written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dateline.measuring.tune_fusion
from dateline.build.service import profiles
from dateline.commands.tune.fusion import _applied, _command
from dateline.default_folders import demo_folder
from dateline.measuring.evaluate import evaluate_folder
from dateline.measuring.tune_fusion import Plan, doubts, settings_to_apply, tune_fusion
from dateline.settings import Settings, configure
from eval.sets.datasets import read_judged_set
from eval.tune.fusion.settings import FusionSetting
from eval.tune.fusion.tuning import Tuning
from tests.conftest import new_folder
from tests.dateline.conftest import Cli

DEMO = str(demo_folder())
SMALL = ("--parameters", "lexical_weight=0.3,0.5,0.7", "--parameters", "fusion=convex,rrf")


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data folder with the demo's index and its features, made by the first test that asks."""
    folder = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        Cli(folder)("tune", "fusion", DEMO, *SMALL)
    yield folder
    shutil.rmtree(folder)


def found_in(data: Path, **changes: Any) -> Tuning:
    settings = Settings(data=data, tagger="", second_encoder="", threads=1)
    return tune_fusion(settings, Plan((DEMO,), parameters=SMALL[1::2], **changes))


def test_the_command_reports_in_a_table_files_and_json(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        dateline.measuring.tune_fusion, "gather", None
    )  # all is kept: nothing is asked again
    told = Cli(data)("tune", "fusion", DEMO, *SMALL, "--output", tmp_path / "report").stdout
    assert "demo:test" in told
    assert "Too little to tell: keep lexical_weight 0.5, convex." in told
    text = (tmp_path / "report" / "fusion.md").read_text()
    assert "`dateline tune fusion demo --parameters lexical_weight=0.3,0.5,0.7" in text
    assert str(data) not in text
    tree = json.loads((tmp_path / "report" / "fusion.json").read_text())
    assert tree == Cli(data).json("tune", "fusion", DEMO, *SMALL)
    assert tree["settings"] == 6
    assert tree["queries"] == 30
    assert tree["recommended"]["lexical_weight"] == 0.5
    assert sum(tree["stability"]["fusion"].values()) == 5


@pytest.mark.parametrize("name", ["second_share", "second_start"])
def test_one_field_has_no_second_one(data: Path, name: str) -> None:
    told = Cli(data)("tune", "fusion", DEMO, "--parameters", name, code=2).stderr
    assert name in told
    assert "second_encoder" in told


def test_what_ships_has_the_figure_that_is_served(data: Path) -> None:
    settings = Settings(data=data, tagger="", second_encoder="", threads=1)
    served = evaluate_folder(settings, DEMO, "hybrid").mean("nDCG@10")
    found = found_in(data)
    assert found.shipped_mean == pytest.approx(served, abs=1e-12)
    assert [row.label for row in found.sets] == ["demo:test"]


def test_another_weight_has_the_figure_that_it_would_serve(data: Path) -> None:
    settings = Settings(data=data, tagger="", second_encoder="", threads=1, lexical_weight=0.3)
    served = evaluate_folder(settings, DEMO, "hybrid").mean("nDCG@10")
    row = next(one for one in found_in(data).curves if one.value == 0.3)
    assert row.mean == pytest.approx(served, abs=1e-12)


def test_reranking_is_tuned_on_a_sample_of_the_queries(data: Path) -> None:
    settings = Settings(data=data, tagger="", second_encoder="", threads=1)
    parameters = ("rerank_weight=0.2,0.5", "rerank_depth=20")
    said: list[str] = []
    found = tune_fusion(
        settings,
        Plan((DEMO,), parameters=parameters, rerank=True, sample=4, folds=2),
        lambda what, done, total: said.append(what),
    )
    assert {"demo:test", "settings"} == set(said)
    assert found.queries == 4
    assert found.shipped.rerank_weight == 0.5
    assert any("learned from" in note for note in found.notes)
    inner = found_in(data, sample=4, folds=2)
    assert found.shipped_mean != inner.shipped_mean


def test_the_same_seed_gives_the_same_answer(data: Path) -> None:
    assert found_in(data, seed=3) == found_in(data, seed=3)


# --- applying


def changed(found: Tuning, **changes: Any) -> Tuning:
    """A tuning that recommends a change, of more sets than the demo."""
    row = replace(found.sets[0], groups=400)
    chosen = replace(found.shipped, **changes)
    return replace(found, sets=(row,), low=0.01, chosen=chosen)


def test_what_is_a_setting_is_written_and_the_rest_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dateline.toml").write_text("port = 8001  # ours\n")
    found = changed(found_in(data), lexical_weight=0.4, rerank_depth=30, bound_share=0.2)
    assert settings_to_apply(found) == (
        {"lexical_weight": 0.4, "rerank_candidates": 30},
        ["bound_share"],
    )
    diff = _applied(found)
    assert "+lexical_weight = 0.4" in diff
    assert "bound_share is no setting" in capsys.readouterr().err
    text = (tmp_path / "dateline.toml").read_text()
    assert text == "lexical_weight = 0.4\nrerank_candidates = 30\nport = 8001  # ours\n"
    settings = configure(folder=tmp_path).settings
    assert FusionSetting.of(profiles(settings)["hybrid-rerank"]).rerank_depth == 30


def test_without_a_recommendation_nothing_is_written(data: Path, tmp_path: Path) -> None:
    told = Cli(data)("tune", "fusion", DEMO, *SMALL, "--apply").stdout
    assert "dateline.toml stays as it is" in told
    assert not (tmp_path / "dateline.toml").exists()


def test_the_weights_are_settings_of_the_hybrid_profiles() -> None:
    shipped, other = (profiles(settings) for settings in (Settings(), Settings(lexical_weight=0.2)))
    assert shipped["hybrid"].lexical_weight == 0.5
    assert shipped["hybrid-rerank"].rerank_weight == 0.5
    assert other["hybrid"].lexical_weight == pytest.approx(0.2)
    assert sum(other["hybrid-rrf"].vector_weights.values()) == pytest.approx(0.8)
    assert other["lexical"] == shipped["lexical"]
    assert other["vector"] == shipped["vector"]


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((DEMO, "--parameters", "weight"), "no parameter 'weight'"),
        ((DEMO, DEMO), "named twice"),
        ((DEMO, "--measure", "nDCG@x"), "no measure"),
        (("nowhere",), "nowhere"),
        ((DEMO, *SMALL, "--folds", "90"), "can't be cut into 90 folds"),
    ],
)
def test_mistakes_are_told_with_what_and_how(
    data: Path, arguments: tuple[str, ...], told: str
) -> None:
    result = Cli(data)("tune", "fusion", *arguments, code=2)
    assert told in result.stderr
    assert "mend" in result.stderr


def test_a_set_that_only_measures_is_warned_of() -> None:
    judged = read_judged_set(DEMO)
    assert doubts([judged]) == []
    (said,) = doubts([replace(judged, name="cacm")])
    assert said.startswith("only there to measure: cacm:test. ")


def test_the_command_that_makes_a_report_again_names_no_folder_of_this_machine() -> None:
    plan = Plan(("/data/sets/scifact:train", "/data/sets/bbc_news/"), rerank=True, sample=9)
    assert _command(plan) == (
        "dateline tune fusion scifact:train bbc_news --rerank --sample 9 "
        "--folds 5 --measure nDCG@10 --seed 1"
    )
