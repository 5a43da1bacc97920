"""Keeps the words of live queries, if a setting asks for it, to try another model or index with. It
keeps only the words, of a limited number of queries, each at a random place.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import Full, Queue

from core.errors import StorageError

_TABLE = (
    "CREATE TABLE IF NOT EXISTS queries (place INTEGER PRIMARY KEY, words TEXT NOT NULL) STRICT"
)
_KEEP = "INSERT OR REPLACE INTO queries (place, words) VALUES (?, ?)"
_LONGEST = 1_000  # characters
_WAITING = 256
FILE = "sampled-queries.sqlite3"


class SampledQueries:
    """Keeps at most `most` queries in a file of `folder`. A thread of its own writes it, so that no
    search waits for it or fails with it. `draw` returns a random place.
    """

    def __init__(
        self, folder: Path, most: int, draw: Callable[[int], int] = random.randrange
    ) -> None:
        self._path = folder / FILE
        self._most = most
        self._draw = draw
        self._waiting: Queue[str | None] = Queue(_WAITING)
        self.failure = ""
        self._thread = threading.Thread(target=self._run, name="sampled-queries", daemon=True)
        self._thread.start()

    def keep(self, words: str) -> None:
        """Keep the words of a query, unless too many are waiting to be written."""
        if not words.strip() or len(words) > _LONGEST:
            return
        try:
            self._waiting.put_nowait(words)
        except Full:
            return

    def close(self) -> None:
        """Write everything that waits, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (words := self._waiting.get()) is not None:
            try:
                self._write(words)
            except (sqlite3.Error, OSError) as error:
                self.failure = str(error)

    def _write(self, words: str) -> None:
        with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
            connection.execute(_TABLE)
            connection.execute(_KEEP, (self._draw(self._most), words))
            connection.execute("DELETE FROM queries WHERE place >= ?", (self._most,))


def sampled_queries(folder: Path) -> list[str]:
    """Return the queries kept in `folder`, each once; none if there is no file. Raises StorageError
    for a file that can't be read.
    """
    path = folder / FILE
    if not path.exists():
        return []
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            rows = connection.execute("SELECT DISTINCT words FROM queries ORDER BY place")
            return [words for (words,) in rows]
    except sqlite3.Error as error:
        what = f"the sampled queries can't be read: {error}"
        raise StorageError(what, where=str(path), mend="remove the file") from error
