"""What differs between two versions of an item, as an answer shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

BODY = "body_text"
_MOST_LINES = 500  # compared line by line; the time for more would have no bound
_TOLD_APART = ("uri", "version", "versioncreated", BODY)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what leads from the members `old` to `new`: `fields`, each with its value before and
    after (null for none), and `body`, the lines of the text that were removed and added.
    """
    names = [name for name in {**old, **new} if name not in _TOLD_APART]
    return {
        "from": _version(old),
        "to": _version(new),
        "fields": {
            name: {"from": old.get(name), "to": new.get(name)}
            for name in names
            if old.get(name) != new.get(name)
        },
        "body": _lines_changed(_lines(old), _lines(new)),
    }


def _version(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: members.get(name) for name in ("version", "versioncreated")}


def _lines(members: Mapping[str, Any]) -> list[str]:
    text = members.get(BODY, "")
    return text.splitlines() if isinstance(text, str) else []


def _lines_changed(old: Sequence[str], new: Sequence[str]) -> list[dict[str, Any]]:
    """Return the changed stretches in order: `line` is where one begins in the old text, from 1."""
    first = _same(old, new)
    last = _same(old[first:][::-1], new[first:][::-1])
    before, after = old[first : len(old) - last], new[first : len(new) - last]
    if max(len(before), len(after)) > _MOST_LINES:
        stretches = [("replace", 0, len(before), 0, len(after))]
    else:
        stretches = list(SequenceMatcher(None, before, after).get_opcodes())
    return [
        {"line": first + start + 1, "removed": before[start:end], "added": after[begin:stop]}
        for kind, start, end, begin, stop in stretches
        if kind != "equal"
    ]


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many lines at the beginning of both are the same."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
