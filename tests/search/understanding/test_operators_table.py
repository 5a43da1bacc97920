from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.understanding.dates import calendar_of
from search.understanding.understand import Understanding
from tests.search.case_table import Row, read_cases

ROWS = read_cases(Path(__file__).with_name("operator_cases.md"))
UNDERSTANDING = Understanding(None)
CALENDAR = calendar_of(datetime(2026, 3, 18, 10, tzinfo=UTC))
MEANT = "What is meant, and stays"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_operator_by_accident(row: Row) -> None:
    said = UNDERSTANDING.understand(row.cells["query"], calendar=CALENDAR).said
    assert said.lexical == row.cells["words"]
    assert said.vector_text == row.cells["embedded"]
    if row.cells["note"]:
        assert row.cells["note"] in "; ".join(said.notes)
    else:
        assert said.notes == ()


@pytest.mark.parametrize("row", [row for row in ROWS if row.group != MEANT], ids=str)
def test_no_word_is_lost_without_a_note(row: Row) -> None:
    """What was typed is searched, but for signs and for what a minus takes away."""
    said = UNDERSTANDING.understand(row.cells["query"], calendar=CALENDAR).said
    typed = {character for character in row.cells["query"] if character.isalnum()}
    assert said.notes or typed <= set(said.lexical) | {"N", "O", "T", "A", "D"}


def test_there_are_cases_enough() -> None:
    assert len(ROWS) >= 60
    assert len({row.cells["query"] for row in ROWS}) == len(ROWS)
