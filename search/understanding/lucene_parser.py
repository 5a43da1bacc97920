"""luqum's parser, made from the tables that come with luqum. Nothing is written.

luqum makes its parser when it is imported. ply compares the rules, which are docstrings, with the
rules that the tables were made from. Python 3.13 removes the indentation from docstrings, so there
ply would make the tables again at each start, write them beside luqum, and report that on the error
stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from luqum.tree import Item
from ply import yacc


def _parser() -> Callable[[str], Item]:
    make = yacc.yacc
    yacc.yacc = partial(make, optimize=True, write_tables=False, debug=False)
    try:
        from luqum.thread import parse
    finally:
        yacc.yacc = make
    return cast("Callable[[str], Item]", parse)


parse_lucene = _parser()
