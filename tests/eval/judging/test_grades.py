"""The file of grades against a dict, its adjudication, and writers at the same time."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median_low

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from eval.judging.grades import Given, Grades
from eval.judging.pool import pooled
from eval.judging.sitting import Sitting, sit
from eval.sets.datasets import read_judged_set, read_to_judge

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
STEPS = st.tuples(
    st.sampled_from("pt"),  # put or take back
    st.sampled_from(["q1", "q2"]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["ada", "bo"]),
    st.integers(0, 3),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two queries over three documents; nobody has judged them."""
    for name, rows in {
        "corpus.jsonl": [{"_id": i, "title": i, "text": f"about {i}"} for i in "abc"],
        "queries.jsonl": [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}],
    }.items():
        (tmp_path / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return tmp_path


def sitting(
    folder: Path, judge: str, overlap: float = 1.0, *, adjudicates: bool = False
) -> Sitting:
    run = {"q1": ("a", "b", "c"), "q2": ("b", "c")}
    pool = pooled({"hybrid": run}, 3)
    return sit(read_to_judge(folder), folder, pool, judge, overlap, adjudicates=adjudicates)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_what_was_given_and_not_taken_back_counts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str, str, int]]
) -> None:
    kept = Grades(tmp_path_factory.mktemp("grades"))
    model: dict[tuple[str, str], dict[str, int]] = {}
    for kind, query, document, judge, grade in steps:
        if kind == "p":
            kept.put(Given(query, document, judge, grade, NOON))
            model.setdefault((query, document), {})[judge] = grade
        else:
            kept.take_back((query, document), judge)
            model.get((query, document), {}).pop(judge, None)
    found = {p: {name: t["grade"] for name, t in lines.items()} for p, lines in kept.all().items()}
    assert found == {pair: by_judge for pair, by_judge in model.items() if by_judge}


def test_a_folder_is_a_judged_set_from_its_first_grade_on(folder: Path) -> None:
    ada, bo = sitting(folder, "ada"), sitting(folder, "bo")
    places = {pair.pair: number for number, pair in enumerate(ada.pairs)}
    for pair, grade in {("q1", "a"): 3, ("q1", "b"): 1, ("q2", "b"): 2}.items():
        ada.give(places[pair], grade)
    bo.give(places["q1", "b"], 2)
    judged = read_judged_set(str(folder))
    assert judged.qrels == {"q1": {"a": 3, "b": median_low([1, 2])}, "q2": {"b": 2}}
    assert judged.judges == ("ada", "bo")
    assert ada.agreement().pairs == 1
    assert ada.of_others(("q1", "b")) == ()


def test_whoever_adjudicates_sees_the_grades_and_has_the_last_word(folder: Path) -> None:
    ada, bo = sitting(folder, "ada"), sitting(folder, "bo")
    places = {pair.pair: number for number, pair in enumerate(ada.pairs)}
    for pair, one, other in ((("q1", "a"), 3, 3), (("q1", "b"), 0, 3), (("q2", "c"), 1, 1)):
        ada.give(places[pair], one)
        bo.give(places[pair], other)
    before = ada.agreement()
    chief = sitting(folder, "chief", adjudicates=True)
    assert [pair.pair for pair in chief.pairs] == [("q1", "b")]
    assert chief.of_others(("q1", "b")) == (0, 3)
    chief.give(0, 2)
    assert read_judged_set(str(folder)).qrels["q1"] == {"a": 3, "b": 2}
    assert ada.agreement() == before
    again = sitting(folder, "chief", adjudicates=True)
    assert [again.mine().get(pair.pair) for pair in again.pairs] == [2]


def test_only_grades_of_the_set_are_taken(folder: Path) -> None:
    (folder / "dataset.json").write_text('{"grades": [0, 1]}')
    ada = sitting(folder, "ada")
    assert sorted(ada.meanings) == [0, 1]
    with pytest.raises(InputError):
        ada.give(0, 2)
    assert ada.mine() == {}


_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from eval.judging.grades import Given, Grades
kept = Grades(Path(sys.argv[1]))
for number in range(25):
    kept.put(Given("q1", str(number), sys.argv[2], number % 4, datetime.now(UTC)))
"""


@pytest.mark.service
def test_judges_at_the_same_time_lose_nothing(folder: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(folder), name])
        for name in ("ada", "bo", "cy")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = (folder / "judgements.jsonl").read_bytes().splitlines()
    assert len(lines) == 75
    assert all(len(by_judge) == 3 for by_judge in Grades(folder).all().values())
