"""Reads server-sent events from lines.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from dataclasses import dataclass, field

TOPIC = "topic.matched"  # an event beside an entry


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is "" for an event without one."""

    name: str
    data: str
    id: str = ""


@dataclass(slots=True)
class EventLines:
    """Puts events together from lines."""

    _name: str = ""
    _id: str = ""
    _data: list[str] = field(default_factory=list)

    def take(self, line: str) -> Event | None:
        """Take a line without its end; return the event that it completes."""
        if not line:
            event = Event(self._name or "message", "\n".join(self._data), self._id)
            complete = bool(self._data)
            self._name, self._id, self._data = "", "", []
            return event if complete else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None
