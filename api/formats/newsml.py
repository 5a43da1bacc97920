"""A story as a NewsML-G2 news item, with its text as NITF inside and its media by address.

https://iptc.org/std/NewsML-G2/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from api.envelope import rfc3339
from api.formats.markup import Element, clean_text
from api.formats.texts import Story, document, line_of, names_of, nitf_element

_G2, _NITF = "http://iptc.org/std/nar/2006-10-01/", "http://iptc.org/std/NITF/2006-10-18/"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CATALOG = "http://www.iptc.org/std/catalog/catalog.IPTC-G2-Standards_38.xml"
_NATURES = {"subject": "abstract", "person": "person", "organisation": "organisation",
            "place": "geoArea"}  # fmt: skip
_QCODE = re.compile(r"[A-Za-z][\w.-]*:[^\s/][^\s]*")
_SIZES = ("width", "height")


def newsml(story: Story) -> bytes:
    """Return the story as a NewsML-G2 document in UTF-8."""
    item = story.item
    root = etree.Element(
        f"{{{_G2}}}newsItem",
        {
            "guid": clean_text(item.uri),
            "version": str(item.version),
            "standard": "NewsML-G2",
            "standardversion": "2.33",
            "conformance": "power",
            _LANG: item.language,
        },
        nsmap={None: _G2},
    )
    _add(root, "catalogRef", href=_CATALOG)
    _rights(story, _add(root, "rightsInfo"))
    _item_meta(story, _add(root, "itemMeta"))
    _content_meta(story, _add(root, "contentMeta"))
    contents = _add(root, "contentSet")
    inline = _add(contents, "inlineXML", contenttype="application/nitf+xml")
    inline.append(_in_namespace(nitf_element(story)))
    _remote(story, contents)
    return document(root)


def _add(parent: Element, name: str, text: str = "", /, **attributes: str) -> Element:
    made = etree.SubElement(parent, f"{{{_G2}}}{name}", attributes)
    made.text = text or None
    return made


def _said(parent: Element, name: str, text: str, /, **attributes: str) -> None:
    if text:
        _add(parent, name, text, **attributes)


def _rights(story: Story, info: Element) -> None:
    _said(info, "copyrightNotice", story.text("copyrightnotice"))
    for term in names_of(story, "usageterms"):
        _add(info, "usageTerms", term)
    if not len(info):
        info.getparent().remove(info)


def _item_meta(story: Story, meta: Element) -> None:
    item = story.item
    _add(meta, "itemClass", qcode=f"ninat:{item.type.value}")
    _said(_add(meta, "provider"), "name", story.text("provider") or "unknown")
    _add(meta, "versionCreated", rfc3339(item.versioncreated))
    _add(meta, "firstCreated", rfc3339(item.firstcreated))
    if item.embargoed:
        _add(meta, "embargoed", rfc3339(item.embargoed))
    _add(meta, "pubStatus", qcode=f"stat:{item.pubstatus.value}")
    _said(meta, "edNote", story.text("ednote"))


def _content_meta(story: Story, meta: Element) -> None:
    item = story.item
    _said(meta, "urgency", str(item.urgency or ""))
    if located := story.text("located"):
        _add(_add(meta, "located"), "name", located)
    _add(meta, "language", tag=item.language)
    for word in names_of(story, "keywords"):
        _add(meta, "keyword", word)
    for member, nature in _NATURES.items():
        for concept in story.members.get(member, ()):
            _subject(concept, nature, meta)
    _said(meta, "slugline", story.text("slugline"))
    _said(meta, "headline", story.text("headline"))
    for byline in story.members.get("bylines", ()):
        _said(meta, "by", line_of(byline, "by"))
    for role in ("summary", "caption"):
        _said(meta, "description", story.text(f"description_{role}"), role=f"drol:{role}")


def _subject(concept: Mapping[str, Any], nature: str, meta: Element) -> None:
    """Return a subject; its code is written as a code of a scheme, as an address, or as a word."""
    code, named = line_of(concept, "code"), {}
    if code:
        is_address = "://" in code
        kind = "uri" if is_address else "qcode" if _QCODE.fullmatch(code) else "literal"
        named = {kind: code}
    made = _add(meta, "subject", type=f"cpnat:{nature}", **named)
    _said(made, "name", line_of(concept, "name"))


def _remote(story: Story, contents: Element) -> None:
    renditions = story.members.get("renditions", {})
    for name, one in renditions.items() if isinstance(renditions, Mapping) else ():
        href = line_of(one, "href")
        if href.startswith(("https://", "http://")):
            sizes = {size: str(one[size]) for size in _SIZES if isinstance(one.get(size), int)}
            kind = {"contenttype": line_of(one, "mimetype")} if line_of(one, "mimetype") else {}
            told = {"rendition": f"rnd:{clean_text(name)}", "href": href, **kind, **sizes}
            _add(contents, "remoteContent", **told)


def _in_namespace(root: Element) -> Element:
    """Return an `nitf` element in NITF's namespace, as another standard may hold it."""
    made = etree.Element(f"{{{_NITF}}}nitf", root.attrib, nsmap={None: _NITF})
    made.extend(list(root))
    for node in made.iterdescendants():
        node.tag = f"{{{_NITF}}}{node.tag}"
    return made
