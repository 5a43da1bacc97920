"""Samples in other formats, each beside the ninjs that it becomes.

`python -P -m tests.indexing.formats.golden` writes the expected files again: read what changed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from indexing import records
from indexing.formats import bulk, mapping, tables, xml_documents, xml_tree
from indexing.formats.entries import Entry, Row

SAMPLES = Path(__file__).parents[2] / "fixtures" / "formats"
LIMIT = 8 * 1024 * 1024
XML = ("newsml", "nitf", "rss", "atom")


def xml_entries(data: bytes) -> list[Entry]:
    found = xml_documents.documents(xml_tree.parse(data))
    assert found is not None
    return list(found)


def csv_entries(data: bytes, told: mapping.RowMapping) -> list[Entry]:
    rows = tables.csv_rows(io.BytesIO(data), Path("table.csv"), told, LIMIT)
    return [mapping.document(row, told) for row in rows]


def bulk_entries(data: bytes, told: mapping.RowMapping | None) -> list[Entry]:
    found = bulk.rows(records.lines(io.BytesIO(data), LIMIT))
    rows = (row if isinstance(row, Row) else bulk.row_of(row) for row in found)
    return [mapping.document(row, told) for row in rows]


def sample(name: str) -> list[Entry]:
    """What the sample of this name becomes."""
    if name in XML:
        return xml_entries((SAMPLES / f"{name}.xml").read_bytes())
    told = mapping.read(SAMPLES / f"{name}.toml")
    if name == "table":
        return csv_entries((SAMPLES / "table.csv").read_bytes(), told)
    return bulk_entries((SAMPLES / "bulk.ndjson").read_bytes(), told)


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
    for name in (*XML, "table", "bulk"):
        found = shown(sample(name))
        data = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (SAMPLES / f"{name}.expected.json").write_bytes(data)


if __name__ == "__main__":
    write()
