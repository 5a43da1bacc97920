"""NewsML-G2: each newsItem and packageItem of a newsMessage becomes a ninjs 3.1 document.

The parts of a video that have a time and words (`partMeta`) are its shot list, our extension member
`shotlist`. A package is a composite item whose associations name its members. Concept, knowledge,
planning and catalogue items are not news: they are rejected, each with its kind. Codes stay as they
are written (`medtop:20000002`). https://iptc.org/std/NewsML-G2/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from core.errors import DocumentError
from indexing.formats import nitf
from indexing.formats.entries import STANDARD, Entry, Tree, entry
from indexing.formats.xml_tree import (
    XmlTree,
    attribute,
    children,
    first,
    inner_markup,
    language_of,
    name_of,
    said,
    text_of,
    unread,
    whole,
)

ITEMS = ("newsItem", "packageItem")
NO_NEWS = ("conceptItem", "knowledgeItem", "planningItem", "catalogItem")
_MEMBER_OF_TYPE = {
    "person": "people",
    "organisation": "organisations",
    "geoarea": "places",
    "poi": "places",
    "event": "events",
    "object": "objects",
}
_READ_META = (
    "itemClass provider versionCreated firstCreated embargoed pubStatus edNote profile title"
    " expires altId"
)
_READ_CONTENT = (
    "urgency contentCreated contentModified located creator by dateline creditline infoSource"
    " headline slugline language genre keyword subject description altId"
)
_READ_ITEM = "catalogRef catalog rightsInfo itemMeta contentMeta contentSet groupSet partMeta"


_LONGEST_S = 10**7  # of a video


def documents(tree: XmlTree) -> Iterator[Entry]:
    """Yield each item of a message, or the one item that is the file."""
    for item in _items(tree.root):
        yield entry(tree.lines.get(item, 0), partial(_read, item))


def _items(root: Element) -> Iterator[Element]:
    if name_of(root) != "newsMessage":
        yield root
        return
    for item_set in children(root, "itemSet"):
        yield from children(item_set)


def _read(item: Element, notes: list[str]) -> Tree:
    kind = name_of(item)
    if kind not in ITEMS:
        what = "is no news item" if kind in NO_NEWS else "is not known in NewsML-G2"
        raise DocumentError(
            f"not understood: a {kind} {what}", mend="send newsItem and packageItem elements"
        )
    uri = attribute(item, "guid")
    if uri is None:
        raise DocumentError("guid is missing", field="guid")
    meta, content = first(item, "itemMeta"), first(item, "contentMeta")
    tree = {
        "uri": uri,
        "standard": STANDARD,
        "version": attribute(item, "version"),
        "type": _code(first(meta, "itemClass"))
        or ("composite" if kind == "packageItem" else "text"),
        "language": attribute(first(content, "language"), "tag") or language_of(item),
        **_of_item_meta(meta),
        **_of_content_meta(content),
        **_rights(first(item, "rightsInfo")),
        "infoSources": [*_sources(meta, "provider"), *_sources(content, "infoSource")],
        "altIds": [*_alt_ids(meta), *_alt_ids(content)],
        **_content(first(item, "contentSet"), notes),
        "associations": _members(first(item, "groupSet")),
        "shotlist": [*_shots(item, notes)],
    }
    notes += unread(item, _READ_ITEM)
    notes += unread(meta, _READ_META)
    notes += unread(content, _READ_CONTENT)
    return _with_nitf(tree, first(item, "contentSet", "inlineXML", "nitf"))


def _of_item_meta(meta: Element | None) -> Tree:
    embargo = first(meta, "embargoed")
    return {
        "versionCreated": said(meta, "versionCreated"),
        "firstCreated": said(meta, "firstCreated"),
        # An empty embargo has no end: it stays empty, and the check refuses it.
        "embargoedUntil": None if embargo is None else text_of(embargo),
        "expires": said(meta, "expires"),
        "pubStatus": _code(first(meta, "pubStatus")),
        "profile": said(meta, "profile"),
        "title": said(meta, "title"),
        "edNote": "\n".join(map(text_of, children(meta, "edNote"))) or None,
    }


def _of_content_meta(content: Element | None) -> Tree:
    lines = filter(None, map(text_of, children(content, "by")))
    by = ", ".join(lines) or ", ".join(filter(None, map(_name, children(content, "creator"))))
    concepts = list(_concepts(content))
    members = dict.fromkeys(("subjects", *_MEMBER_OF_TYPE.values()))
    return {
        "contentCreated": said(content, "contentCreated"),
        "urgency": whole(said(content, "urgency")),
        "headlines": [
            _value(one, "main" if number == 0 else attribute(one, "role"))
            for number, one in enumerate(children(content, "headline"))
        ],
        "slugline": said(content, "slugline"),
        "by": by or None,
        "located": _name(first(content, "located")) or said(content, "dateline"),
        "descriptions": [*_descriptions(content)],
        "genres": [_thing(one) for one in children(content, "genre")],
        **{name: [thing for of, thing in concepts if of == name] for name in members},
    }


def _descriptions(content: Element | None) -> Iterator[Tree]:
    for one in children(content, "description"):
        yield _value(one, _local(attribute(one, "role")))
    for one in children(content, "creditline"):
        yield _value(one, "creditline")


def _value(element: Element, role: str | None) -> Tree:
    value = {"value": text_of(element)}
    return {"role": _local(role), **value} if role else value


def _concepts(content: Element | None) -> Iterator[tuple[str, Tree]]:
    """Yield the member of ninjs and the thing for each subject and keyword."""
    for one in children(content, "subject"):
        kind = (_local(attribute(one, "type")) or "").lower()
        if thing := _thing(one):
            yield _MEMBER_OF_TYPE.get(kind, "subjects"), thing
    for one in children(content, "keyword"):
        if name := text_of(one):
            yield "subjects", {"name": name, "rel": "keyword"}


def _thing(element: Element) -> Tree:
    code = attribute(element, "qcode") or attribute(element, "literal")
    said_of = {"name": _name(element), "literal": code, "uri": attribute(element, "uri")}
    return {name: value for name, value in said_of.items() if value}


def _name(element: Element | None) -> str | None:
    """Return the first name in an element, else its literal or its code."""
    names = filter(None, map(text_of, children(element, "name")))
    return next(names, None) or attribute(element, "literal") or attribute(element, "qcode")


def _sources(parent: Element | None, name: str) -> Iterator[Tree]:
    for one in children(parent, name):
        if thing := _thing(one):
            yield {"role": "provider", **thing} if name == "provider" else thing


def _alt_ids(parent: Element | None) -> Iterator[Tree]:
    for one in children(parent, "altId"):
        if value := text_of(one):
            yield {"role": _local(attribute(one, "type")) or "id", "value": value}


def _rights(info: Element | None) -> Tree:
    holder = first(info, "copyrightHolder")
    terms = [text_of(one) for one in children(info, "usageTerms")]
    return {
        "copyrightHolder": _name(holder) or attribute(holder, "uri"),
        "copyrightNotice": said(info, "copyrightNotice"),
        "usageTerms": "\n".join(filter(None, terms)) or None,
    }


def _content(content_set: Element | None, notes: list[str]) -> Tree:
    bodies: list[Tree] = []
    renditions: list[Tree] = []
    for part in children(content_set):
        kind = name_of(part)
        if kind == "remoteContent":
            renditions.append(_rendition(part, len(renditions)))
        elif kind == "inlineXML":
            bodies += _bodies(part)
        elif kind == "inlineData" and attribute(part, "encoding") is None:
            content_type = attribute(part, "contenttype") or "text/plain"
            value = "".join(part.itertext()).strip()
            bodies += [{"role": "main", "contentType": content_type, "value": value}]
        else:
            notes.append(f"not read: contentSet/{kind}")
    return {"bodies": [body for body in bodies if body["value"]], "renditions": renditions}


def _bodies(part: Element) -> Iterator[Tree]:
    for root in children(part):
        if name_of(root) == "nitf":
            yield from nitf.bodies(root)
            continue
        inside = first(root, "body") if name_of(root) == "html" else root
        if inside is not None:
            content_type = attribute(part, "contenttype") or "application/xhtml+xml"
            yield {"role": "main", "contentType": content_type, "value": inner_markup(inside)}


def _rendition(part: Element, number: int) -> Tree:
    seconds = whole(attribute(part, "duration"))
    said_of: dict[str, Any] = {
        "name": _local(attribute(part, "rendition")) or f"content{number + 1}",
        "href": attribute(part, "href") or attribute(part, "residref"),
        "contentType": attribute(part, "contenttype"),
        "width": whole(attribute(part, "width")),
        "height": whole(attribute(part, "height")),
        "sizeInBytes": whole(attribute(part, "size")),
        "duration": None if seconds is None else float(seconds),
    }
    return {name: value for name, value in said_of.items() if value is not None}


def _members(group_set: Element | None) -> list[Tree]:
    """Return the items that the groups of a package refer to, in order, named by their groups."""
    found: list[Tree] = []
    for group in children(group_set, "group"):
        role = _local(attribute(group, "role")) or attribute(group, "id") or "item"
        for ref in children(group, "itemRef"):
            uri = attribute(ref, "residref") or attribute(ref, "href")
            if uri is not None:
                found.append(_member(ref, uri, role, len(found) + 1))
    return found


def _member(ref: Element, uri: str, role: str, number: int) -> Tree:
    said_of = {
        "name": f"{role}{number}",
        "rel": role,
        "uri": uri,
        "type": _code(first(ref, "itemClass")),
        "title": said(ref, "title"),
    }
    return {name: value for name, value in said_of.items() if value}


def _shots(item: Element, notes: list[str]) -> Iterator[Tree]:
    """Yield the parts of a video that have a time and words, as lines of a shot list."""
    for part in children(item, "partMeta"):
        told = [*map(text_of, children(part, "headline", "description"))]
        words = ": ".join(dict.fromkeys(filter(None, told)))
        times = first(part, "timeDelim")
        start, end = (_time(times, name) for name in ("start", "end"))
        if words and start is not None:
            yield {"start": start, "description": words, **({} if end is None else {"end": end})}
        else:
            notes.append("not read: newsItem/partMeta without words or time")


def _time(times: Element | None, name: str) -> float | str | None:
    """Return a time of a part in seconds, or a time code; None without one."""
    value = attribute(times, name)
    unit = _local(attribute(times, "timeunit")) or "editUnit"
    if value is None or unit not in ("seconds", "milliseconds", "timeCode", "normalPlayTime"):
        return None
    if unit in ("timeCode", "normalPlayTime"):
        return value
    try:
        seconds = float(value) / (1000 if unit == "milliseconds" else 1)
    except ValueError:
        return None
    return seconds if 0 <= seconds < _LONGEST_S else None


def _with_nitf(tree: Tree, root: Element | None) -> Tree:
    """Return the tree; what its own metadata lack comes from the NITF inside it."""
    if root is None:
        return tree
    inside = nitf.texts(root)
    return {**tree, **{name: value for name, value in inside.items() if not tree.get(name)}}


def _code(element: Element | None) -> str | None:
    """Return the last part of a code's qcode or uri; "" if there is an element without both, so
    that the check refuses a state that can't be read.
    """
    if element is None:
        return None
    code = attribute(element, "qcode") or attribute(element, "uri") or ""
    return code.rpartition("/" if "://" in code else ":")[2]


def _local(code: str | None) -> str | None:
    """Return what stands behind a code's last colon."""
    return code.rpartition(":")[2] or None if code else None
