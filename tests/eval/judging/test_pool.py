"""What is pooled for judges, and the order in which they see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DocumentError
from eval.judging.pool import Pooled, joined, pooled, read_pool, to_grade, write_pool

HYBRID = {"q1": ("a", "b", "c"), "q2": ("d",)}
LEXICAL = {"q1": ("c", "e"), "q2": ()}


def test_each_pair_is_pooled_once_with_the_rank_that_each_system_gave() -> None:
    found = pooled({"hybrid": HYBRID, "lexical": LEXICAL}, depth=3)
    assert {p.pair: dict(p.ranks) for p in found} == {
        ("q1", "a"): {"hybrid": 1},
        ("q1", "b"): {"hybrid": 2},
        ("q1", "c"): {"hybrid": 3, "lexical": 1},
        ("q1", "e"): {"lexical": 2},
        ("q2", "d"): {"hybrid": 1},
    }
    shallow = pooled({"hybrid": HYBRID}, depth=1)
    assert {p.pair for p in shallow} == {("q1", "a"), ("q2", "d")}


def test_a_pool_grows_by_other_systems(tmp_path: Path) -> None:
    write_pool(tmp_path, pooled({"hybrid": HYBRID}, 3))
    grown = joined([*read_pool(tmp_path, {"q1", "q2"}), *pooled({"lexical": LEXICAL}, 3)])
    at_once = pooled({"hybrid": HYBRID, "lexical": LEXICAL}, 3)
    assert {p.pair: p.ranks for p in grown} == {p.pair: p.ranks for p in at_once}


def test_first_ranks_come_first_and_neither_rank_nor_system_shows_within_a_band() -> None:
    deep = {"q1": [f"d{i}" for i in range(100)], "q2": [f"e{i}" for i in range(100)]}
    order = to_grade(pooled({"hybrid": deep}, 100), ["q1", "q2"], (), 0.0)
    bands = [sum(p.best > last for last in (1, 3, 10, 30)) for p in order]
    assert bands == sorted(bands)
    queries = [p.query_id for p in order if 10 < p.best <= 30]
    assert queries == ["q1"] * 20 + ["q2"] * 20
    ranks = [p.best for p in order if 30 < p.best <= 100 and p.query_id == "q1"]
    assert ranks != sorted(ranks)
    assert sorted(ranks) == list(range(31, 101))


@pytest.mark.parametrize(
    ("overlap", "least", "most"), [(0.0, 0, 0), (0.2, 140, 260), (1.0, 1000, 1000)]
)
def test_a_second_judge_grades_a_share_of_what_the_first_one_graded(
    overlap: float, least: int, most: int
) -> None:
    pool = [Pooled("q1", f"d{i}", {"hybrid": 1 + i % 50}) for i in range(2000)]
    graded = {p.pair for p in pool[:1000]}
    asked = to_grade(pool, ["q1"], graded, overlap)
    again = [p for p in asked if p.pair in graded]
    assert least <= len(again) <= most
    assert len(asked) - len(again) == 1000
    assert to_grade(pool, ["q1"], graded, overlap) == asked  # the same pairs tomorrow


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"query_id": "q9", "document_id": "a", "ranks": {"x": 1}}', "query_id"),
        ('{"query_id": "q1", "document_id": "a", "ranks": {}}', "ranks"),
        ('{"query_id": "q1", "document_id": "a", "ranks": {"x": 0}}', "ranks"),
        ('{"query_id": "q1", "ranks": {"x": 1}}', "document_id"),
    ],
)
def test_a_mistake_in_a_pool_has_its_place(tmp_path: Path, line: str, field: str) -> None:
    (tmp_path / "pool.jsonl").write_text(line)
    with pytest.raises(DocumentError) as raised:
        read_pool(tmp_path, {"q1"})
    assert (raised.value.field, raised.value.where) == (field, f"{tmp_path / 'pool.jsonl'}:1")
