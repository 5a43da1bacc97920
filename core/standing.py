"""The standing of an item in the archive at a moment: what hides it, or which version is shown.

Only callers who may inspect get it. Others get the same answer as for an unknown uri.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.items import Item, PubStatus


class Hiding(StrEnum):
    """What keeps an item out of every answer; "" if nothing does."""

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
    """`id` is the engine's number of the version that is shown, -1 if no version is. `moment` is
    when an embargo lifts or when the item expired. `head` is the uri of the item that is shown for
    the story instead. `products` are those that may see the item.
    """

    hiding: Hiding
    id: int = -1
    moment: datetime | None = None
    head: str = ""
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionState:
    """A recorded version in any state, without its texts. `shown` is whether its story shows it
    now.
    """

    uri: str
    version: int
    versioncreated: datetime
    pubstatus: PubStatus
    embargoed: datetime | None = None
    expires: datetime | None = None
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The versions of all items of a story in any state, the newest first. `head` is the uri of the
    item that stands for it now, `otherwise` of the one that would without the item that was asked
    for; "" for none.
    """

    versions: tuple[VersionState, ...] = ()
    head: str = ""
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller sees of a recorded item: `item` is set if the item is the head of its story,
    and `id` is then the engine's number of that version; `in_chain` is whether the story's chain
    shows the caller a version of it.
    """

    item: Item | None = None
    in_chain: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The version that is the head of its story and that a caller may see, without its texts. `id`
    is the engine's number of the version. Its content and products never change, but its embargo
    and its expiry may change.
    """

    uri: str
    version: int
    id: int
    products: tuple[str, ...]
    embargoed: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeenWord:
    """A word as items write it, the number of items with it that a caller sees (counted up to a
    limit), and its distance in edits from another word.
    """

    text: str
    count: int
    distance: int
