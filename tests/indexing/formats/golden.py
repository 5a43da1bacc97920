"""Samples in other formats, each beside the ninjs that it becomes.

`python -P -m tests.indexing.formats.golden` writes the expected files again: read what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from indexing.formats import xml_documents, xml_tree
from indexing.formats.entries import Entry

SAMPLES = Path(__file__).parents[2] / "fixtures" / "formats"
XML = ("newsml", "nitf", "rss", "atom")


def xml_entries(data: bytes) -> list[Entry]:
    found = xml_documents.documents(xml_tree.parse(data))
    assert found is not None
    return list(found)


def shown(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The entries as the expected files have them."""
    return [
        {
            "line": entry.line,
            **({"notes": list(entry.notes)} if entry.notes else {}),
            **({"tree": entry.tree} if entry.tree else {}),
            **({"field": entry.error.field} if entry.error else {}),
        }
        for entry in entries
    ]


def expected(name: str) -> Any:
    return orjson.loads((SAMPLES / f"{name}.expected.json").read_bytes())


def write() -> None:
    for name in XML:
        found = shown(xml_entries((SAMPLES / f"{name}.xml").read_bytes()))
        data = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (SAMPLES / f"{name}.expected.json").write_bytes(data)


if __name__ == "__main__":
    write()
