"""A small set to judge, and the page that the command serves for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from eval.judging.pool import pooled, write_pool

RUN = "import sys; sys.argv[0] = 'dateline'; from dateline.cli import app; app()"


def pooled_set(folder: Path) -> Path:
    """Two queries and two stories, of which three pairs are pooled."""
    stories = [
        {"_id": "a", "title": "Ferry sinks", "text": "The ferry sank off the coast. <b>No one</b>"},
        {"_id": "b", "title": "Harbour opens", "text": "A new harbour."},
    ]
    queries = [{"_id": "q1", "text": "ferry accident"}, {"_id": "q2", "text": "new port"}]
    for name, rows in {"corpus.jsonl": stories, "queries.jsonl": queries}.items():
        (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    write_pool(folder, pooled({"hybrid": {"q1": ("a", "b"), "q2": ("b",)}}, 2))
    return folder


@contextmanager
def judged(folder: Path, judge: str = "ada") -> Iterator[str]:
    """The address that the command prints, with the judge's key."""
    data = folder.with_name(f"{folder.name}-data")
    command = ["eval", "judge", str(folder), "--judge", judge, "--data", str(data)]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", RUN, *command], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.startswith("http://"))
        finally:
            process.terminate()
