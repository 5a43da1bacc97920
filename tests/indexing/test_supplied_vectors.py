"""Documents that come with their vectors: taken as they are, or refused with the reason."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.writes import Outcome
from indexing.ingest import Ingest, IngestOptions
from indexing.supplied_vectors import Space
from tests.indexing.conftest import HashingEncoder

FIELD = "text"
OPTIONS = IngestOptions(("wire",), spaces={FIELD: Space("hashing-8", 8)})
Write = Callable[..., Path]


def story(uri: str, **members: Any) -> dict[str, Any]:
    return {"uri": uri, "version": 1, "headline": f"story {uri}", "body_text": "b", **members}


def matrix(rows: int, scale: float = 1.0) -> str:
    row = np.zeros((rows, 8), np.float32)
    row[:, 3] = scale
    return b64encode(row.astype("<f2").tobytes()).decode()


def entry(**changed: Any) -> dict[str, Any]:
    whole = {
        "field": FIELD,
        "encoder": "hashing-8",
        "passages": [["body", 0, 4], ["body", 2, 6]],
        "matrix": matrix(2),
    }
    return {**whole, **changed}


def test_vectors_that_come_with_a_document_are_recorded(
    ingest: Ingest, writer: Any, encoder: HashingEncoder, write_lines: Write
) -> None:
    own = {**story("own", body_text="abcdefgh"), "_vectors": [entry()]}
    report = ingest.run([write_lines(own, story("computed"))], OPTIONS)
    assert report.outcomes == {Outcome.CREATED: 2}
    writes = {write.item.uri: write for batch in writer.batches for write in batch}
    (vectors,) = writes["own"].vectors
    assert vectors.vectors[:, 3].tolist() == [1.0, 1.0]
    assert [(one.start, one.end) for one in vectors.passages] == [(0, 4), (2, 6)]
    assert "_vectors" not in writes["own"].item.source
    assert len(encoder.texts) == 1  # of the other one
    assert ingest.run([write_lines(own)], OPTIONS).outcomes == {Outcome.UNCHANGED: 1}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (entry(encoder="another"), "_vectors[0]"),
        (entry(field="second"), "_vectors[0]"),
        (entry(passages=[["body", 0, 99]]), "_vectors[0].passages"),
        (entry(passages=[["uri", 0, 1]]), "_vectors[0].passages"),
        (entry(passages="all"), "_vectors[0].passages"),
        (entry(matrix=matrix(1)), "_vectors[0].matrix"),
        (entry(matrix=matrix(2, 0.5)), "_vectors[0].matrix"),
        (entry(matrix=matrix(2, np.nan)), "_vectors[0].matrix"),
        (entry(matrix="?"), "_vectors[0].matrix"),
        (entry(matrix=7), "_vectors[0].matrix"),
        (entry(truncated=3), "_vectors[0].truncated"),
        ("all", "_vectors[0]"),
        ([entry(), entry()], "_vectors"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    ingest: Ingest, write_lines: Write, given: Any, field: str
) -> None:
    bad = {**story("bad", body_text="abcdefgh"), "_vectors": given}
    report = ingest.run([write_lines(bad, story("good"))], OPTIONS)
    assert report.outcomes == {Outcome.CREATED: 1}
    assert [one.field for one in report.rejections] == [field]
