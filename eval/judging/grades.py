"""The file in which judges' grades are kept: `judgements.jsonl` of a judged set.

`eval.sets.news_queries` reads it for measures; here grades are added, changed and taken back, each
of them durable when the call returns, so a judge who leaves half way loses nothing. Several judges
may write at the same time, each from a process of their own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from core.errors import StorageError
from eval.judging.pool import Pair
from eval.sets.beir import JUDGEMENTS
from eval.sets.lines import read_lines


@dataclass(frozen=True, slots=True)
class Given:
    """A judge's grade of a pair. One that `adjudicates` is the last word on a pair whose judges
    differ. `note` is the judge's own remark.
    """

    query_id: str
    document_id: str
    judge: str
    grade: int
    at: datetime
    note: str = ""
    adjudicates: bool = False

    @property
    def pair(self) -> Pair:
        """The ids of query and document."""
        return self.query_id, self.document_id

    def as_line(self) -> dict[str, Any]:
        """Return the line of the file, as a JSON object."""
        line: dict[str, Any] = {
            "query_id": self.query_id,
            "document_id": self.document_id,
            "judge": self.judge,
            "grade": self.grade,
            "at": self.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if self.note:
            line["note"] = self.note
        return line | ({"adjudicates": True} if self.adjudicates else {})


class Grades:
    """The grades of a folder's judges. Raises StorageError if the file can't be written."""

    def __init__(self, folder: Path, name: str = JUDGEMENTS) -> None:
        self._path = folder / name

    def all(self) -> dict[Pair, dict[str, dict[str, Any]]]:
        """Return the lines as they are in the file, by pair and judge. Raises DocumentError."""
        found: dict[Pair, dict[str, dict[str, Any]]] = {}
        for tree in self._lines():
            pair = (tree["query_id"], tree["document_id"])
            found.setdefault(pair, {})[tree["judge"]] = tree
        return found

    def of(self, judge: str) -> dict[Pair, int]:
        """Return the grades of one judge, by pair. Raises DocumentError."""
        return {pair: lines[judge]["grade"] for pair, lines in self.all().items() if judge in lines}

    def put(self, *given: Given) -> None:
        """Keep grades, each in the place of the same judge's former one."""
        with self._alone():
            former = {(*each.pair, each.judge) for each in given}
            kept = [tree for tree in self._lines() if _key(tree) not in former]
            self._write([*kept, *(each.as_line() for each in given)])

    def take_back(self, pair: Pair, judge: str) -> None:
        """Forget a judge's grade of a pair, if there is one."""
        with self._alone():
            self._write([tree for tree in self._lines() if _key(tree) != (*pair, judge)])

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._path.is_file():
            return
        for line in read_lines(self._path):
            tree = dict(line.json_object())
            for name in ("query_id", "document_id", "judge"):
                tree[name] = line.string(tree, name).strip()
            yield tree

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, trees: list[dict[str, Any]]) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            with part.open("wb") as stream:
                stream.writelines(orjson.dumps(tree) + b"\n" for tree in trees)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self._path)
        except OSError as error:
            raise StorageError(f"can't be written: {error}", where=str(self._path)) from error


def _key(tree: dict[str, Any]) -> tuple[str, str, str]:
    return tree["query_id"], tree["document_id"], tree["judge"]
