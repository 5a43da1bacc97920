"""Items in AP's answers: as AP's contract has them, without associations that lead nowhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from api.access.receipts import Receive
from api.content.media_links import MediaLinks
from api.formats.items import ItemView
from api.formats.kept_forms import KeptForms, told_versions
from api.media.links import Addresses
from core.callers import Caller
from core.items import Item
from core.ports.engine import Library

_ALWAYS = ("uri", "altids", "version", "type")  # whatever `include` says
_EVERY = "*"


def asked_view(
    caller: Caller,
    include: Iterable[str],
    exclude: Iterable[str],
    links: MediaLinks | None,
    addresses: Addresses,
    *,
    receive: Receive,
    whole: bool = False,
) -> ItemView:
    """Return the view of items that `include` and `exclude` ask for; `*` includes everything."""
    wanted, kept = frozenset(include), frozenset(exclude) - set(_ALWAYS)
    if wanted and _EVERY not in wanted:
        wanted |= set(_ALWAYS)
    return ItemView(caller, wanted, kept, links, whole, addresses, receive)


def contents_of(
    versions: Sequence[tuple[int, Item]],
    view: ItemView,
    library: Library,
    kept: KeptForms,
    costly: Collection[str] = (),
) -> list[Any]:
    """Return the `contentitem` of each version, without associated items whose itemid is `costly`.
    One without any may be JSON already.
    """

    def shape(members: dict[str, Any]) -> dict[str, Any]:
        if "associations" in members:
            members["associations"] = _leading_somewhere(members["associations"], costly)
        return members

    told = told_versions(versions, view, library, None if costly else kept, shape)
    return [each.item for each in told]


def _leading_somewhere(value: Mapping[str, Any], costly: Collection[str]) -> dict[str, Any]:
    """Return associated items that have an address. One that was never recorded may have none, and
    a client that follows it in vain drops the item around it.
    """
    return {
        name: one
        for name, one in value.items()
        if str(one.get("uri", "")).startswith(("https://", "http://"))
        and one.get("altids", {}).get("itemid") not in costly
    }
