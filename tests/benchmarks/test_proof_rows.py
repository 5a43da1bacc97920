"""The file of the capacity proof: parts add rows, and a later run replaces its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.service.proof_rows import Row, keep, read, table

ROW = Row("embedded, hybrid, 1 at once", "30%: p50, ms", 10.0, 11.0, 10.5, 11.5, 0.15, True)


def test_parts_add_rows_and_replace_their_own(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    other = replace(ROW, service="remote, hybrid, 1 at once")
    again = replace(ROW, measured=13.0, met=False)
    keep(path, [ROW, other])
    keep(path, [again])
    assert set(read(path)) == {again, other}
    text = table(path)
    assert text.count("missed |") == 1
    assert "+30%" in text
    assert "1 of 2 rows miss" in text
