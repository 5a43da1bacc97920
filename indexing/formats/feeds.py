"""Turns each item of an RSS 2.0 feed, and each entry of an Atom feed, into a ninjs 3.1 document.

- **uri**: RSS `guid`, else `link`; Atom `id`. A guid that is not a URI becomes `urn:feed:LINK:GUID`
  with the link of its channel.
- **version**: as in ninjs, the time of the last change in whole seconds: Atom `updated`, in RSS
  `atom:updated` or `dcterms:modified`, else `pubDate` (`dc:date`).
- **body**: `content:encoded` or Atom `content`; a `description` or `summary` is the description.
- Atom entries that are drafts (`app:draft`) are withheld.

https://www.rssboard.org/rss-specification, RFC 4287
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from core.errors import DocumentError
from indexing.formats.dates import from_mail
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
    space_of,
    text_of,
    unread,
    whole,
)

ATOM = "http://www.w3.org/2005/Atom"
_CONTENT = "http://purl.org/rss/1.0/modules/content/"
_DC = ("http://purl.org/dc/elements/1.1/", "http://purl.org/dc/terms/")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S", re.ASCII)
_HTML = "text/html"
_KINDS = {"image": "picture", "audio": "audio", "video": "video"}
_READ_ITEM = (
    "title link description author creator category guid pubDate date enclosure encoded updated"
    " modified source comments"
)
_READ_ENTRY = (
    "id title updated published author contributor summary content category link rights source"
    " control"
)


@dataclass(frozen=True, slots=True)
class _Feed:
    """The facts that a feed states for all its items. They are read once, because a feed may have
    very many items.
    """

    title: str | None
    link: str | None
    language: str | None
    rights: str | None
    authors: tuple[Element, ...]


def rss(tree: XmlTree) -> Iterator[Entry]:
    """Yield the items of an RSS file."""
    for channel in children(tree.root, "channel"):
        feed = _feed(channel)
        for item in children(channel, "item"):
            yield entry(tree.lines.get(item, 0), partial(_item, item, feed))


def atom(tree: XmlTree) -> Iterator[Entry]:
    """Yield the entries of an Atom feed, or the one entry that is the file."""
    root = tree.root
    feed = _feed(root)
    entries = [root] if name_of(root) == "entry" else children(root, "entry")
    for one in entries:
        yield entry(tree.lines.get(one, 0), partial(_entry, one, feed))


def _feed(root: Element) -> _Feed:
    return _Feed(
        title=said(root, "title"),
        link=said(root, "link"),
        language=said(root, "language") or language_of(root),
        rights=said(root, "copyright") or said(root, "rights"),
        authors=tuple(children(root, "author")),
    )


def _item(item: Element, feed: _Feed, notes: list[str]) -> Tree:
    notes += unread(item, _READ_ITEM)
    body, link = _of_space(item, "encoded", (_CONTENT,)), said(item, "link")
    changed = _of_space(item, "updated", (ATOM,)) or _of_space(item, "modified", _DC)
    published = from_mail(said(item, "pubDate")) or _of_space(item, "date", _DC)
    by = [text_of(one) for one in children(item, "author", "creator")]
    summary = _raw(first(item, "description"))
    enclosures = children(item, "enclosure")
    return {
        "uri": _uri(said(item, "guid") or link, feed),
        "standard": STANDARD,
        "type": "text",
        "language": feed.language,
        "versionCreated": changed or published,
        "firstCreated": published,
        "headlines": _values(said(item, "title"), "main"),
        "by": ", ".join(dict.fromkeys(filter(None, by))) or None,
        "descriptions": _values(summary, "summary", _HTML),
        "bodies": _values(body, "main", _HTML),
        "subjects": [*_rss_subjects(item)],
        "copyrightNotice": feed.rights,
        "infoSources": _named(said(item, "source") or feed.title),
        "altIds": [{"role": "link", "value": link}] if link else [],
        "associations": [
            _linked(number, attribute(one, "url"), attribute(one, "type"), attribute(one, "length"))
            for number, one in enumerate(enclosures, start=1)
            if attribute(one, "url")
        ],
    }


def _entry(one: Element, feed: _Feed, notes: list[str]) -> Tree:
    notes += unread(one, _READ_ENTRY)
    uri = said(one, "id")
    if uri is None:
        raise DocumentError("id is missing", field="id")
    links = list(children(one, "link"))
    page = next((attribute(link, "href") for link in links if _rel(link) == "alternate"), None)
    authors = list(children(one, "author")) or feed.authors
    draft = (said(one, "control", "draft") or "no").lower() == "yes"
    return {
        "uri": uri,
        "standard": STANDARD,
        "type": "text",
        "language": language_of(one) or feed.language,
        "versionCreated": said(one, "updated"),
        "firstCreated": said(one, "published"),
        "pubStatus": "withheld" if draft else None,
        "headlines": _values(*_atom_text(first(one, "title"), "main")),
        "by": ", ".join(filter(None, (said(author, "name") for author in authors))) or None,
        "descriptions": _values(*_atom_text(first(one, "summary"), "summary")),
        "bodies": _values(*_atom_text(first(one, "content"), "main")),
        "subjects": [*_atom_subjects(one)],
        "copyrightNotice": said(one, "rights") or feed.rights,
        "infoSources": _named(said(one, "source", "title") or feed.title),
        "altIds": [{"role": "link", "value": page}] if page else [],
        "associations": [*_enclosures(one, links)],
    }


def _uri(named: str | None, feed: _Feed) -> str:
    if named is None:
        raise DocumentError("guid and link are missing", field="guid")
    if _SCHEME.match(named):
        return named
    return ":".join(filter(None, ("urn:feed", feed.link, named)))


def _of_space(parent: Element, name: str, spaces: tuple[str, ...]) -> str | None:
    """Return the text of the child of a name in one of the namespaces."""
    return next((_raw(one) for one in children(parent, name) if space_of(one) in spaces), None)


def _raw(element: Element | None) -> str | None:
    """Return text with its line breaks: it may be markup that is written as text."""
    return None if element is None else "".join(element.itertext()).strip() or None


def _values(value: str | None, role: str, content_type: str | None = None) -> list[Tree]:
    if not value:
        return []
    kind = {"contentType": content_type} if content_type else {}
    return [{"role": role, **kind, "value": value}]


def _atom_text(element: Element | None, role: str) -> tuple[str | None, str, str | None]:
    """Return the text of an Atom construct, its role, and its content type if that is markup."""
    kind = (attribute(element, "type") or "text").lower()
    if element is None or attribute(element, "src"):
        return None, role, None
    if kind == "xhtml":
        div = first(element, "div")
        return inner_markup(element if div is None else div), role, "application/xhtml+xml"
    if "html" in kind:
        return _raw(element), role, _HTML
    if kind.endswith(("xml", "+xml")):
        return inner_markup(element), role, kind
    return _raw(element), role, None


def _rss_subjects(item: Element) -> Iterator[Tree]:
    for one in children(item, "category"):
        if name := text_of(one):
            domain = attribute(one, "domain")
            yield {"name": name, **({"literal": f"{domain}:{name}"} if domain else {})}


def _atom_subjects(one: Element) -> Iterator[Tree]:
    for category in children(one, "category"):
        term, label = attribute(category, "term"), attribute(category, "label")
        if term:
            yield {"name": label or term, "literal": (attribute(category, "scheme") or "") + term}


def _named(name: str | None) -> list[Tree]:
    return [{"name": name}] if name else []


def _rel(link: Element) -> str:
    return attribute(link, "rel") or "alternate"


def _enclosures(one: Element, links: list[Element]) -> Iterator[Tree]:
    found = [link for link in links if _rel(link) == "enclosure" and attribute(link, "href")]
    for number, link in enumerate(found, start=1):
        kind, length = attribute(link, "type"), attribute(link, "length")
        yield _linked(number, attribute(link, "href"), kind, length)
    content = first(one, "content")
    if source := attribute(content, "src"):
        yield _linked(len(found) + 1, source, attribute(content, "type"), None)


def _linked(number: int, url: str | None, kind: str | None, length: str | None) -> Tree:
    """Return the association for a linked file."""
    said_of: dict[str, Any] = {
        "name": "original",
        "href": url,
        "contentType": kind,
        "sizeInBytes": whole(length),
    }
    rendition = {name: value for name, value in said_of.items() if value is not None}
    item_type = _KINDS.get((kind or "").partition("/")[0])
    named = {"name": f"enclosure{number}", "uri": url, "renditions": [rendition]}
    return {**named, "type": item_type} if item_type else named
