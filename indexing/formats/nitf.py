"""NITF 3.x: a document becomes a ninjs 3.1 document.

- **uri**: the `id-string` of `doc-id`, else the `uno` of `nitf`. One that is not a URI becomes
  `urn:nitf:SOURCE:ID`, where the source is `regsrc`.
- **version**: the `version` or else the `generation` of `du-key` if that is a number, else the
  time of `date.issue`, as in ninjs.
- **embargo**: `date.release`; **expiry**: `date.expire`; **state**: `management-status`.
- **body**: the markup of `body.content`, and of the tagline in `body.end`.

https://iptc.org/std/NITF/3.6/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from core.errors import DocumentError
from indexing.formats.dates import from_basic
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

CONTENT_TYPE = "application/nitf+xml"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S", re.ASCII)
_MEMBER_OF = {
    "person": "people",
    "org": "organisations",
    "location": "places",
    "event": "events",
    "object.title": "objects",
    "classifier": "subjects",
    "keyword": "subjects",
}
_MEDIA = {"image": "picture", "video": "video", "audio": "audio"}
_SLUGS = ("slug", "slugline", "anpa-keyword")
_READ_DOCDATA = (
    "doc-id urgency date.issue date.release date.expire ed-msg du-key doc.copyright doc.rights"
    " key-list identified-content evloc del-list"
)
_READ_HEAD = "title meta tobject docdata"


def documents(tree: XmlTree) -> Iterator[Entry]:
    """Yield the document that the file is."""
    yield entry(tree.lines.get(tree.root, 1), partial(_read, tree.root))


def bodies(root: Element) -> Iterator[Tree]:
    """Yield the body of a NITF document, if it has text."""
    content, end = first(root, "body", "body.content"), first(root, "body", "body.end")
    markup = "" if content is None else inner_markup(content)
    if end is not None and (tagline := inner_markup(end)):
        markup += f"<block>{tagline}</block>"
    if markup:
        yield {"role": "main", "contentType": CONTENT_TYPE, "value": markup}


def texts(root: Element) -> Tree:
    """Return headlines, byline, place and summary of a NITF document."""
    head = first(root, "body", "body.head")
    by = [text_of(line) for line in children(head, "byline")]
    abstract = said(head, "abstract")
    return {
        "title": said(root, "head", "title"),
        "headlines": [*_headlines(first(head, "hedline"))],
        "by": ", ".join(filter(None, by)) or None,
        "located": said(head, "dateline", "location"),
        "descriptions": [{"role": "summary", "value": abstract}] if abstract else [],
    }


def _read(root: Element, notes: list[str]) -> Tree:
    head, body_head = first(root, "head"), first(root, "body", "body.head")
    data = first(head, "docdata")
    key = first(data, "du-key")
    notes += unread(head, _READ_HEAD)
    notes += unread(data, _READ_DOCDATA)
    version = whole(attribute(key, "version")) or whole(attribute(key, "generation"))
    return {
        "uri": _uri(root, data),
        "standard": STANDARD,
        "type": "text",
        "version": None if version is None else str(version),
        "language": language_of(root),
        **_times(data),
        "pubStatus": attribute(data, "management-status"),
        "urgency": whole(attribute(first(data, "urgency"), "ed-urg")),
        **texts(root),
        "slugline": _slugline(head) or attribute(key, "key"),
        "edNote": "\n".join(_notes(data, body_head)) or None,
        **_rights(data, body_head),
        **_concepts(head, data),
        "infoSources": [{"name": text_of(one)} for one in children(body_head, "distributor")],
        "bodies": [*bodies(root)],
        "associations": [*_media(first(root, "body", "body.content"))],
    }


def _uri(root: Element, data: Element | None) -> str:
    doc_id = first(data, "doc-id")
    named = attribute(doc_id, "id-string") or attribute(root, "uno")
    if named is None:
        raise DocumentError("doc-id and uno are missing", field="doc-id")
    if _SCHEME.match(named):
        return named
    return ":".join(filter(None, ("urn:nitf", attribute(doc_id, "regsrc"), named)))


def _times(data: Element | None) -> Tree:
    def norm(name: str) -> str | None:
        return from_basic(attribute(first(data, name), "norm"))

    release = first(data, "date.release")
    return {
        "versionCreated": norm("date.issue"),
        # One without a time has no end: it stays empty, and the check refuses it.
        "embargoedUntil": None if release is None else norm("date.release") or "",
        "expires": norm("date.expire"),
    }


def _headlines(hedline: Element | None) -> Iterator[Tree]:
    for number, line in enumerate(children(hedline, "hl1", "hl2")):
        yield {"role": "subheadline" if number else "main", "value": text_of(line)}


def _slugline(head: Element | None) -> str | None:
    for meta in children(head, "meta"):
        if (attribute(meta, "name") or "").lower() in _SLUGS:
            return attribute(meta, "content")
    return None


def _notes(data: Element | None, body_head: Element | None) -> Iterator[str]:
    for message in children(data, "ed-msg"):
        yield from filter(None, [attribute(message, "info")])
    for note in children(body_head, "note"):
        yield from filter(None, [text_of(note)])


def _rights(data: Element | None, body_head: Element | None) -> Tree:
    right = first(data, "doc.copyright")
    holder, year = attribute(right, "holder"), attribute(right, "year")
    return {
        "copyrightHolder": holder,
        "copyrightNotice": f"© {year} {holder}" if holder and year else None,
        "usageTerms": said(body_head, "rights"),
    }


def _concepts(head: Element | None, data: Element | None) -> Tree:
    found: dict[str, list[Tree]] = {name: [] for name in _MEMBER_OF.values()}
    for subject in children(first(head, "tobject"), "tobject.subject"):
        names = (f"tobject.subject.{part}" for part in ("detail", "matter", "type"))
        name = next(filter(None, (attribute(subject, each) for each in names)), None)
        number = attribute(subject, "tobject.subject.refnum")
        found["subjects"].append(_thing(name, f"subj:{number}" if number else None))
    for parent in (first(data, "identified-content"), first(data, "key-list")):
        for one in children(parent, *_MEMBER_OF):
            name = text_of(one) or attribute(one, "value") or attribute(one, "key")
            found[_MEMBER_OF[name_of(one)]].append(_thing(name, attribute(one, "code")))
    if place := _place(first(data, "evloc")):
        found["places"].append(place)
    return {name: [thing for thing in things if thing] for name, things in found.items()}


def _place(place: Element | None) -> Tree:
    parts = [attribute(place, name) for name in ("city", "state-prov", "iso-cc")]
    return _thing(", ".join(filter(None, parts)) or None, None)


def _thing(name: str | None, code: str | None) -> Tree:
    return {key: value for key, value in (("name", name), ("literal", code)) if value}


def _media(content: Element | None) -> Iterator[Tree]:
    """Yield the media that a body refers to, each as an association."""
    for number, media in enumerate(_all_media(content), start=1):
        reference = first(media, "media-reference")
        uri = attribute(reference, "source")
        if uri is None:
            continue
        kind = _MEDIA.get((attribute(media, "media-type") or "").lower())
        caption = said(media, "media-caption")
        said_of: dict[str, Any] = {
            "name": f"media{number}",
            "uri": uri,
            "type": kind,
            "descriptions": [{"role": "caption", "value": caption}] if caption else None,
            "by": said(media, "media-producer"),
        }
        yield {name: value for name, value in said_of.items() if value}


def _all_media(content: Element | None) -> Iterator[Element]:
    if content is not None:
        yield from (each for each in content.iter() if name_of(each) == "media")
