"""How an item stands with the archive at a moment: what hides it, or which version is shown.

Only for those who may know: a caller without the right is told of an unknown uri.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.items import Item


class Hiding(StrEnum):
    """What keeps an item from every answer, "" where nothing does."""

    NOTHING = ""
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    WITHHELD = "withheld"
    EMBARGOED = "embargoed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Standing:
    """`id` is the engine's number of the version that is shown, -1 where none is. `moment` is when
    an embargo lifts or when the item expired; `head` the uri of the item that stands for the story
    instead; `products` are those that may see it.
    """

    hiding: Hiding
    id: int = -1
    moment: datetime | None = None
    head: str = ""
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller sees of a recorded item: `item` where it stands for its story, None where not;
    `in_chain` is whether the story's chain view shows the caller a version of it.
    """

    item: Item | None = None
    in_chain: bool = False


@dataclass(frozen=True, slots=True)
class SeenWord:
    """A word as items write it, in how many items that a caller sees (counted up to a limit), and
    how many edits it is from another.
    """

    text: str
    count: int
    distance: int
