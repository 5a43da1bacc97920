"""The parser of the query language is made of the tables that luqum ships."""

from __future__ import annotations

import subprocess
import sys

import luqum.parser
import luqum.parsetab
import pytest
from ply import yacc

WITH_OTHER_DOCSTRINGS = """
import luqum.parsetab, ply.yacc

def made_anew(*_, **__):
    raise AssertionError("the tables are made anew")

luqum.parsetab._lr_signature = "of a Python that writes docstrings otherwise"
ply.yacc.LRGeneratedTable = made_anew
from search.understanding.language import parse
print(parse("title:ferry AND NOT calm").tree)
"""


def test_tables_are_not_made_anew_where_docstrings_are_others() -> None:
    command = [sys.executable, "-c", WITH_OTHER_DOCSTRINGS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert "ferry" in done.stdout
    assert done.stderr == ""


def test_the_tables_are_those_of_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are used unchecked: a luqum whose tables are older than its rules is found here."""
    made: list[yacc.LRGeneratedTable] = []

    class Kept(yacc.LRGeneratedTable):  # type: ignore[misc]
        def __init__(self, *given: object) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(yacc, "LRGeneratedTable", Kept)
    yacc.yacc(
        module=luqum.parser,
        tabmodule="no_such_tables",
        write_tables=False,
        debug=False,
        errorlog=yacc.NullLogger(),
    )
    (fresh,) = made
    assert fresh.lr_action == luqum.parsetab._lr_action
    assert {state: to for state, to in fresh.lr_goto.items() if to} == luqum.parsetab._lr_goto
    rules = [(rule.str, rule.name, rule.len, rule.func) for rule in fresh.lr_productions]
    assert rules == [tuple(rule[:4]) for rule in luqum.parsetab._lr_productions]
