"""docs/topics.md: its tables mean what they say. `test_examples` runs its examples."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from core.errors import QueryError
from customers.topics import MOST_CHARACTERS, MOST_CLAUSES, MOST_TOPICS
from dateline.settings import Settings
from search.understanding.strict_query import strict_query, strict_tree
from tests.demo_service import ROOT

PAGE = (ROOT / "docs" / "topics.md").read_text("utf-8")
NOW = datetime(2026, 3, 18, 10, tzinfo=UTC)


def rows(head: str) -> list[list[str]]:
    """The cells of the table with this head, without backticks."""
    _, found, table = PAGE.partition(f"\n{head}\n")
    assert found, f"there is no table {head}"
    lines = table.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines]


@pytest.mark.parametrize(("query", "strict"), rows("| you write | it is read as |"))
def test_the_strict_form(query: str, strict: str) -> None:
    assert strict_query(query) == strict
    strict_tree(query, NOW)


@pytest.mark.parametrize(("query", "why", "instead"), rows("| refused | why | instead |"))
def test_what_is_refused(query: str, why: str, instead: str) -> None:
    assert why
    assert instead
    with pytest.raises(QueryError):
        strict_tree(query, NOW)


def test_limits_and_settings_are_the_programs() -> None:
    said = " ".join(PAGE.split())
    assert f"at most {MOST_TOPICS} topics" in said
    assert f"at most {MOST_CLAUSES} clauses and {MOST_CHARACTERS:,} characters" in said
    for name in re.findall(r"`((?:smtp|mail)_\w+)`", PAGE):
        assert name in Settings.model_fields
