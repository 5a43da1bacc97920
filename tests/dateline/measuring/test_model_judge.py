"""How a smaller model is judged: names are counted by their exact words and type."""

from __future__ import annotations

import pytest

from dateline.measuring.model_judge import entity_counts

GOLD = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        (GOLD, (6, 6)),
        (["O"] * 5, (0, 3)),
        (["I-PER", "I-PER", "O", "I-LOC", "B-LOC"], (6, 6)),  # a name may begin with I-
        (["B-PER", "B-PER", "O", "B-LOC", "I-LOC"], (0, 6)),
        (["B-PER", "I-ORG", "O", "B-LOC", "B-ORG"], (2, 7)),
    ],
)
def test_a_name_counts_if_its_words_and_its_type_are_right(
    found: list[str], counts: tuple[int, int]
) -> None:
    assert entity_counts([GOLD, ["O"]], [found, ["O"]]).tolist() == [[*counts], [0, 0]]
