"""The gate's two rates, by the benchmark's own command, on made-up results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gate_power
from eval.runs.results import write_result
from tests.eval.made_results import jitter, made, realistic


def test_the_rates_are_of_the_pooled_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shift in (("old", 0.0), ("worse", -0.03), ("other", 0.0)):
        for seed, (collection, count) in enumerate((("cables", 700), ("wires", 300))):
            moved = jitter(count, len(name) + seed) if shift or name == "other" else 0.0
            values = realistic(count, seed) + moved + shift
            result = made(values, name=name, collection=collection)
            write_result(result, tmp_path / name / f"{collection}-test")
    old, worse, other = (str(tmp_path / name) for name in ("old", "worse", "other"))
    asked = [old, worse, "--null", other, "--resamples", "10", "--json"]
    monkeypatch.setattr("sys.argv", ["gate_power", *asked])
    gate_power.main()
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["mutated: queries"] == 1000
    assert figures["caught, as measured"].startswith("100.0% (10 of 10")
    assert {name for name in figures if name.startswith("alarm")} == {
        "alarm, moved to 0",
        "alarm, exchanged",
        "alarm, null moved to 0",
        "alarm, null exchanged",
    }
    assert figures["alarm, moved to 0"].startswith("0.0%")
