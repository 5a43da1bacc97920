"""Limits the size of an answer: lists are cut, and members that are too long are left out by name.

The texts in an answer were written by others, and any of them may be very long. A single item is
given whole. A list of hits, and an item inside another one, are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import orjson

MAX_ANSWER_BYTES = 16 * 1024 * 1024  # of all hits or versions of an answer; each has an equal share
LISTED_ENTRIES = 50  # entries of a list in a list of hits
CARRIED_BYTES = 16 * 1024  # of an item inside another one

Cut = dict[str, int | None]
"""Members that are not given whole -> how many entries there are, None where that is not told."""


def first_entries(value: Any) -> Any:
    """Return the first LISTED_ENTRIES of a list or an object, at any depth; anything else
    unchanged.
    """
    if isinstance(value, list):
        return [first_entries(entry) for entry in value[:LISTED_ENTRIES]]
    if isinstance(value, Mapping):
        kept = islice(value.items(), LISTED_ENTRIES)
        return {name: first_entries(member) for name, member in kept}
    return value


def within(members: Mapping[str, Any], most: int) -> tuple[dict[str, Any], list[str]]:
    """Return the members of an item that fit into `most` bytes, and the names of the members that
    were left out, the longest first. `uri` always stays, because it identifies the item.
    """
    kept = dict(members)
    if _size(kept) <= most:
        return kept, []
    sizes = {name: _size(member) + len(name) for name, member in kept.items() if name != "uri"}
    total, left_out = sum(sizes.values()), []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= most:
            break
        total -= sizes[name]
        left_out.append(name)
        del kept[name]
    return kept, left_out


def _size(value: Any) -> int:
    return len(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
