"""One document of a file in another format: the ninjs that it becomes, or why it becomes none.

A row is a line of a table or a document of another schema; a mapping turns it into ninjs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import DocumentError
from indexing import json_tree

Tree = dict[str, Any]
_MOST_NOTES = 100  # of one document
_LONGEST_NOTE = 200  # characters
STANDARD = {  # `standard` of the documents that are made here
    "name": "ninjs",
    "version": "3.1",
    "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_3.1.json#",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A ninjs document or an error, the line or row where it begins (from 1; 0 for the file as a
    whole), its size in bytes, and notes about what it leaves out.
    """

    line: int
    tree: Tree | None = None
    size: int = 0
    error: DocumentError | None = None
    notes: tuple[str, ...] = ()


def entry(line: int, read: Callable[[list[str]], Tree], size: int = 0) -> Entry:
    """Return the entry that `read` makes; it appends its notes to the list that it gets."""
    notes: list[str] = []
    try:
        tree = json_tree.check(told(read(notes)))
    except DocumentError as error:
        return Entry(line, size=size, error=error)
    return Entry(line, tree, size, notes=_short(notes))


def _short(notes: list[str]) -> tuple[str, ...]:
    """Return the first notes, each once and cut: they name what a stranger wrote."""
    return tuple(dict.fromkeys(note[:_LONGEST_NOTE] for note in notes))[:_MOST_NOTES]


def told(tree: Tree) -> Tree:
    """Return the members that say something: without null, and without empty lists and objects."""
    return {
        name: value for name, value in tree.items() if value is not None and value not in ([], {})
    }


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row by column, or of one document by path; its line or row, from 1; its
    size in bytes; or why it can't be read. A blank in a table is not a value.
    """

    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    error: DocumentError | None = None
    is_table: bool = False
