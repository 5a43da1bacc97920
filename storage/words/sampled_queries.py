"""Words of live queries, kept where a setting says so, to try another model or index with: nothing
but the words, of so many queries at most, each at a place that chance gives.
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
    """At most `most` queries in the file of `folder`, written by a thread of its own: a search does
    not wait for it, and is not harmed where the file can't be written. `draw` gives a place.
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
        """Keeps the words of a query, unless more are waiting than can be written."""
        if not words.strip() or len(words) > _LONGEST:
            return
        try:
            self._waiting.put_nowait(words)
        except Full:
            return

    def close(self) -> None:
        """Ends when everything is written."""
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
    """The queries that are kept there, each once; none where there is no such file. Raises
    StorageError for one that can't be read.
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
