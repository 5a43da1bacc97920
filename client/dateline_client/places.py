"""Where a reader of a feed is, kept over restarts."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

_REMEMBERED = 5000


class Place(Protocol):
    """Keeps a text; "" before anything was kept."""

    def read(self) -> str:
        """Return the text that was kept last."""
        ...

    def keep(self, text: str) -> None:
        """Keep a text, durable when it returns."""
        ...


class MemoryPlace:
    """A place that the end of the process forgets."""

    def __init__(self) -> None:
        self._text = ""

    def read(self) -> str:
        """Return the text that was kept last."""
        return self._text

    def keep(self, text: str) -> None:
        """Keep a text."""
        self._text = text


class FilePlace:
    """A place in a file. The file is replaced as a whole: a crash leaves the old or the new one."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> str:
        """Return the text that was kept last."""
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return ""

    def keep(self, text: str) -> None:
        """Keep a text, durable when it returns."""
        beside = self._path.with_name(f"{self._path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


class Progress:
    """How far a feed was read, and the ids that were given out lately."""

    def __init__(self, place: Place, by: str) -> None:
        self._place = place
        self._by = by
        kept = json.loads(place.read() or "{}")
        if kept and kept["by"] != by:
            raise ValueError(f"this place belongs to a {kept['by']}, not to a {by}")
        self.link: str = kept.get("link", "")
        self._seen: OrderedDict[str, None] = OrderedDict.fromkeys(kept.get("seen", ()))

    def is_new(self, id_: str) -> bool:
        """Return whether an id comes for the first time; it is remembered."""
        if id_ in self._seen:
            return False
        self._seen[id_] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def keep(self, link: str) -> None:
        """Everything before `link` was dealt with."""
        self.link = link
        # The service gives out the same links again, so what is behind this one is all new, but for
        # kills that a stream told ahead. The last page's ids are enough for these.
        seen = list(self._seen)[-200:]
        self._place.keep(json.dumps({"by": self._by, "link": link, "seen": seen}))
