"""Each judged query falls into one value of each facet."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.runs.slices import sizes, slices_of
from eval.sets.datasets import read_judged_set
from tests.eval.conftest import MakeFolder

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "words", "digit"),
    [
        ("ferry", "1-3", "no"),
        ("ferry accident norway", "1-3", "no"),
        ("ferry accident in norway", "4-8", "no"),
        ("one two three four five six seven eight", "4-8", "no"),
        ("one two three four five six seven eight nine", "9+", "no"),
        ("g7 summit", "1-3", "yes"),
    ],
)
def test_slices_of_the_text(make_folder: MakeFolder, text: str, words: str, digit: str) -> None:
    folder = make_folder(queries=({"_id": "q1", "text": text},), judgements=("q1\td1\t1",))
    found = slices_of(read_judged_set(str(folder)))
    assert found == {"q1": {"words": words, "digit": digit, "relevant": "1"}}


@pytest.mark.parametrize(
    ("relevant", "value"), [(0, "none"), (1, "1"), (2, "2-5"), (5, "2-5"), (6, "6+")]
)
def test_slices_of_the_judgements(make_folder: MakeFolder, relevant: int, value: str) -> None:
    judgements = ("q1\tx\t0", *(f"q1\td{n}\t2" for n in range(relevant)))
    judged = read_judged_set(str(make_folder(judgements=judgements)))
    assert slices_of(judged)["q1"]["relevant"] == value


def test_what_a_set_states_goes_first_and_wins(make_folder: MakeFolder) -> None:
    facets = {"kind": "event", "digit": "spelled out"}
    queries = ({"_id": "q1", "text": "seven ships", "facets": facets}, {"_id": "q2", "text": "x"})
    judged = read_judged_set(str(make_folder(queries=queries)))
    found = slices_of(judged)
    assert list(found["q1"]) == ["kind", "digit", "words", "relevant"]
    assert found["q1"]["digit"] == "spelled out"
    assert "kind" not in found["q2"]
    assert sizes(found)["kind", "event"] == 1
    assert sizes(found)["words", "1-3"] == 2


def test_the_demo_has_its_kinds() -> None:
    judged = read_judged_set(str(ROOT / "datasets" / "demo"))
    kinds = {value: n for (facet, value), n in sizes(slices_of(judged)).items() if facet == "kind"}
    assert kinds == {
        "paraphrase": 8, "entity": 5, "chain": 5, "date": 4, "picture": 4, "keyword": 2, "phrase": 2
    }  # fmt: skip
