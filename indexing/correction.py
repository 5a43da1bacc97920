"""A correction: the next version of a recorded item, in which the desk changed some texts.

The document of the item is changed too, in the names of its own version of ninjs, and read again by
the same checks as any document. Everything else stays: files, shots, machine words, products, and
the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.items import Item
from core.ports.engine import Clock
from indexing import json_tree
from indexing.ninjs import read_tree

TEXTS = ("headline", "description", "body", "ednote")  # what a correction may change
_CREDITS = ("credit", "writer", "captionwriter", "editornotes")  # no descriptions: they stay
# How each text is spelt: in ninjs 1, the array of later ones, and the role of its entry there.
_SPELT = {
    "headline": ("headline", "headlines", "main"),
    "description": ("description_caption", "descriptions", "caption"),
    "body": ("body_text", "bodies", "main"),
}


def corrected(item: Item, texts: Mapping[str, str], clock: Clock) -> Item:
    """Return the next version of `item` with these `texts`, some of TEXTS by their names. Raises
    DocumentError for a text that no item can have.
    """
    now = clock()
    document = dict(item.source) or {"uri": item.uri}
    for name, text in texts.items():
        document = _changed(document, name, text)
    number = item.version + 1
    _put(document, "version", str(number) if isinstance(document.get("version"), str) else number)
    _put(document, "versioncreated", now.isoformat())
    read = read_tree(json_tree.check(document), clock, item.products).item
    told = {name: getattr(read, name) for name in texts}
    source = read.source
    return replace(item, version=number, versioncreated=now, source=source, **told)


def _changed(document: Mapping[str, Any], name: str, text: str) -> dict[str, Any]:
    """Return the document with one text in place of every form of it."""
    if name not in _SPELT:
        made = dict(document)
        _put(made, name, text)
        return made
    one, several, role = _SPELT[name]
    array = next((value for key, value in document.items() if key.lower() == several), None)
    kept = {key: value for key, value in document.items() if not _is_form(key, name)}
    if not isinstance(array, list):
        return {**kept, one: text}
    entry = {"role": role, "contenttype": "text/plain", "value": text}
    return {**kept, several: [entry, *filter(_is_credit, array)]}


def _is_credit(entry: Any) -> bool:
    """Return whether an entry of an array of texts names people, and describes nothing."""
    return isinstance(entry, Mapping) and str(entry.get("role")).lower().startswith(_CREDITS)


def _is_form(member: str, name: str) -> bool:
    """Return whether a member of a document has a form of the text."""
    plain = member.lower().replace("_", "")
    beginnings = ("body", "bodies") if name == "body" else (name,)
    if not plain.startswith(beginnings):
        return False
    return not plain.removeprefix(name).startswith(_CREDITS)


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    """Set a member under the spelling that the document has."""
    spelt = next((member for member in document if member.lower() == name), name)
    document[spelt] = value
