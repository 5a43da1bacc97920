"""Items inside others in an answer: which of them are still there when members were left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CarriedMembers(dict[str, Any]):
    """The members of an item inside another one, or some of them; `item_uri` is that item's, as it
    was recorded.
    """

    __slots__ = ("item_uri",)
    item_uri: str

    @classmethod
    def of(cls, uri: str, members: Mapping[str, Any]) -> CarriedMembers:
        """Return the members of the item with this uri."""
        made = cls(members)
        made.item_uri = uri
        return made


def of_the_same_item(value: Mapping[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Return `kept`, marked as members of the item that `value` is marked as."""
    return CarriedMembers.of(value.item_uri, kept) if isinstance(value, CarriedMembers) else kept


def carried_in(value: Any) -> set[str]:
    """Return the uris of the items that have members anywhere in a value."""
    found: set[str] = set()
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, CarriedMembers):
            found.add(one.item_uri)
        if isinstance(one, (dict, list)):
            left.extend(one.values() if isinstance(one, dict) else one)
    return found
