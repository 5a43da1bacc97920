"""AP Media API's `contentitem` to the letter: its types, languages, times, absolute addresses and
required members. `ap_contract` says what its members are.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote

import orjson

from api.content.media_links import PATH
from api.formats.ap_contract import CONTENT_ITEM, OUR_ITEM, TYPES
from api.formats.carried import of_the_same_item
from api.formats.fitting import GONE, fit
from core.items import Item, ItemType

BY_NAME = ("renditions", "associations")  # the contract and ninjs 1.x have objects by name here
TEXT_FORMS = {
    "nitf": {"format": "NITF", "fileextension": "xml", "mimetype": "application/nitf+xml"},
    "plain": {"format": "Plain", "fileextension": "txt", "mimetype": "text/plain"},
}
"""The renditions that we make of a text, and what they are."""

_SEPARATORS = re.compile(r"[,;]")
_NO_FILE_NAME = re.compile(r"[^\w.-]+")
MAIN, _ORIGINAL = "main", "original"
_MEDIA_TYPES = ("mimetype", "contentType", "contenttype")  # in AP and ninjs 1, in ninjs 3, in 2
_OF_AP = frozenset({"rel", "contentid", "fileextension", "mediafilterid"})


class ItemAddresses(Protocol):
    """Absolute addresses below which AP's contract is served."""

    def item(self, itemid: str) -> str:
        """Return the address of an item."""
        ...

    def download(self, itemid: str, version: int, rendition: str) -> str:
        """Return the address of an item's rendition, with a `?`: clients append parameters to
        it.
        """
        ...


def our_members(item: Item, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members of an item's document in the contract's shapes: objects by name, lists of
    words, whole numbers. What can't be told in them is left out; the agency's own members stay as
    they are.
    """
    shaped = {name: _shaped(name, value) for name, value in members.items()}
    if item.type is ItemType.VIDEO and isinstance(named := shaped.get("renditions"), Mapping):
        shaped["renditions"] = {name: _in_milliseconds(one) for name, one in named.items()}
    rules = OUR_ITEM["properties"]
    fitted = {
        name: fit(value, rules[name], OUR_ITEM) if name in rules else value
        for name, value in shaped.items()
    }
    return {name: value for name, value in fitted.items() if value is not GONE}


def _shaped(name: str, value: Any) -> Any:
    if name in BY_NAME and isinstance(value, list):
        return _by_name(value)
    if name == "altids" and isinstance(value, list):
        return _by_role(value)
    if name == "keywords" and isinstance(value, str):
        return [word.strip() for word in _SEPARATORS.split(value) if word.strip()]
    return value


def _by_name(entries: list[Any]) -> dict[str, Any]:
    """Return a list of renditions or associations (ninjs 2 and 3) as the contract's object by name;
    a name that is taken gets the entry's number.
    """
    found: dict[str, Any] = {}
    known = [entry for entry in entries if isinstance(entry, Mapping)]
    for number, entry in enumerate(known, start=1):
        name = str(entry.get("name") or number)
        found[f"{name}-{number}" if name in found else name] = of_the_same_item(entry, dict(entry))
    return found


def _by_role(entries: list[Any]) -> dict[str, Any]:
    """Return the alternative ids of ninjs 2 and 3 as the contract's object; the first of a role
    counts.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(role := entry.get("role"), str):
            found.setdefault(role, entry.get("value"))
    return found


def usage_terms(item: Item) -> list[str]:
    """Return the usage terms as a list, as AP's documents have them."""
    if not item.usageterms.strip():
        return []
    listed = any(
        name.lower().removeprefix("$") == "usageterms" and isinstance(value, list)
        for name, value in item.source.items()
    )
    terms = item.usageterms.split("\n") if listed else [item.usageterms]
    return [term.strip() for term in terms if term.strip()]


def as_contract(item: Item, members: Mapping[str, Any], addresses: ItemAddresses) -> dict[str, Any]:
    """Return the members of an item as AP's contract has them."""
    kind = item.type.value if item.type.value in TYPES else "text"
    altids = _altids(item, members.get("altids"))
    own: dict[str, Any] = {
        "uri": addresses.item(altids["itemid"]),
        "type": kind,
        "language": item.language.partition("-")[0],
        "versioncreated": ap_time(item.versioncreated),
        "firstcreated": ap_time(item.firstcreated),
        "altids": altids,
    }
    for name in ("embargoed", "expires"):
        if moment := getattr(item, name):
            own[name] = ap_time(moment)
    if kind == "text":
        own["slugline"] = item.slugline or item.headline

    def download(rendition: str) -> str:
        return addresses.download(altids["itemid"], item.version, rendition)

    renditions = _of_files(item, members.get("renditions"), download)
    if kind != "text":
        renditions |= _main_of(renditions)
    else:
        renditions |= {
            form: {"rel": "Main", "type": "text", "href": download(form), **more}
            for form, more in TEXT_FORMS.items()
        }
    if renditions:
        own["renditions"] = renditions
    fitted: dict[str, Any] = fit({**members, **own}, CONTENT_ITEM, CONTENT_ITEM)
    fitted["altids"] = {**fitted["altids"], "etag": _etag(item, fitted)}
    return fitted


def ap_time(moment: datetime) -> str:
    """Return a time as `2024-03-05T07:30:00Z`, the only form that all of AP's clients read."""
    text = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return f"{text}Z"


def _etag(item: Item, members: Mapping[str, Any]) -> str:
    """Return a digest of an item as a caller sees it: its members, its file, what it carries."""
    told = orjson.dumps([members, item.uri, item.version, item.media and item.media.digest])
    return hashlib.sha256(told).hexdigest()[:32]


def _altids(item: Item, said: Any) -> dict[str, Any]:
    """Return the alternative ids. The item's id is AP's where the document has one, else the
    uri.
    """
    ids = {k: v for k, v in said.items() if v} if isinstance(said, Mapping) else {}
    ids.pop("etag", None)
    return {"itemid": item.uri, **ids}


def _of_files(item: Item, said: Any, download: Callable[[str], str]) -> dict[str, Any]:
    """Return the renditions of files. Those of our own media have an address that does not end."""
    found: dict[str, Any] = {}
    for name, rendition in said.items() if isinstance(said, Mapping) else ():
        if isinstance(rendition, Mapping):
            ours = f"{PATH}/" in str(rendition.get("href", "")).partition("?")[0]
            kind = next(filter(None, map(rendition.get, _MEDIA_TYPES)), None)
            said_kind = {"mimetype": kind} if kind else {}
            found[name] = {**rendition, **said_kind, **({"href": download(name)} if ours else {})}
            if ours and name == MAIN:
                found[name] = {"originalfilename": _file_name(item), **found[name]}
    return found


def _main_of(renditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rendition `main`, which AP's clients ask for, where a document has what ninjs
    calls `original`. Its address has a `?`, as clients append parameters.
    """
    original = renditions.get(_ORIGINAL, {})
    href = original.get("href")
    if MAIN in renditions or not isinstance(href, str):
        return {}
    name = _NO_FILE_NAME.sub("-", unquote(href.partition("?")[0]).rpartition("/")[2]).strip("-.")
    known = {"originalfilename": name} if name else {}
    main = {"rel": "Main", **known, **original, "href": href if "?" in href else f"{href}?"}
    return {MAIN: main}


def _in_milliseconds(rendition: Any) -> Any:
    """Return a video's rendition: ninjs has its duration in seconds where AP has milliseconds."""
    if not isinstance(rendition, Mapping) or _OF_AP & rendition.keys():
        return rendition
    seconds = rendition.get("duration")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return rendition
    return {**rendition, "duration": seconds * 1000}


def _file_name(item: Item) -> str:
    """Return a name for the file, from the item's uri; where the original lies is nobody's
    business.
    """
    last = _NO_FILE_NAME.sub("-", item.uri.rpartition("/")[2].rpartition(":")[2]).strip("-.")
    kind = mimetypes.guess_extension(item.media.mimetype) if item.media else None
    return f"{last[-80:] or 'original'}{kind or ''}"
