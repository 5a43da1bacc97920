"""Tiny judged folders, written by each test."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

HEADER = "query-id\tcorpus-id\tscore"
DOCUMENTS = (
    {
        "_id": "d1",
        "title": "Ferry service resumes",
        "text": "The ferry to the islands sails again.",
    },
    {"_id": "d2", "title": "Storm closes port", "text": "A storm closed the harbour on Monday."},
    {"_id": "d3", "title": "Central bank holds rates", "text": "Rates stay where they are."},
)
QUERIES = ({"_id": "q1", "text": "boats to the isles"}, {"_id": "q2", "text": "storm harbour"})
JUDGEMENTS = ("q1\td1\t1", "q2\td2\t2", "q2\td1\t1")

MakeFolder = Callable[..., Path]


def lines(rows: Sequence[Mapping[str, Any] | bytes]) -> bytes:
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Writes a BEIR folder; every part can be given as rows or raw lines."""

    def make(
        *,
        name: str = "tiny",
        documents: Sequence[Mapping[str, Any] | bytes] = DOCUMENTS,
        queries: Sequence[Mapping[str, Any] | bytes] = QUERIES,
        judgements: Sequence[str] = JUDGEMENTS,
        header: str = HEADER,
        splits: Sequence[str] = ("test",),
        packed: bool = False,
    ) -> Path:
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        for file, rows in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
            path, data = folder / file, lines(rows)
            if packed:
                path.with_name(f"{file}.gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)
        for split in splits:
            text = "\n".join((header, *judgements)) + "\n"
            (folder / "qrels" / f"{split}.tsv").write_text(text)
        return folder

    return make
