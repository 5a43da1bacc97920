"""A story as NITF 3.6 and as plain text, with what the guard lets this caller see of it.

https://iptc.org/std/NITF/3.6/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from api.content.nested import is_passed_on
from api.formats.items import ItemView, items_json
from api.formats.markup import Element, blocks_of, clean_text, links_in, plain_text
from core.callers import Caller
from core.items import Item
from core.ports.engine import Library

NITF, PLAIN = "nitf", "plain"
_VERSION = "-//IPTC//DTD NITF 3.6//EN"
_TAGS = {"person": "person", "organisation": "org", "place": "location"}
_MARKUP = ("html", "xml", "nitf")  # in a body's role or content type


@dataclass(frozen=True, slots=True)
class Story:
    """A story as a caller sees it: its members by the contract's names, and its body in blocks."""

    item: Item
    members: Mapping[str, Any]
    blocks: Sequence[Element]

    def text(self, name: str) -> str:
        """Return a text member, "" without one, in characters that XML can have."""
        value = self.members.get(name)
        return clean_text(value) if isinstance(value, str) else ""


def story_of(item: Item, caller: Caller, library: Library) -> Story:
    """Return an item as the guard lets the caller see it at this moment."""
    ((members, _),) = items_json([item], ItemView(caller, whole=True), library)
    markup = body_markup(item.source)
    links = {href.strip() for href in links_in(markup)}
    sights = library.sights(dict.fromkeys(links, item.products), caller) if links else {}
    hidden = {uri for uri, sight in sights.items() if not sight.in_chain}
    blocks = blocks_of(
        markup, item.body, lambda href: is_passed_on(href, "href") and href not in hidden
    )
    return Story(item, members, blocks)


def body_markup(source: Mapping[str, Any]) -> str:
    """Return the body of a document with its markup, HTML before XML; "" if it has none."""
    offers: list[tuple[str, str]] = []
    for name, value in source.items():
        plain_name = name.lower().removeprefix("$")
        if plain_name.startswith("body_") and isinstance(value, str):
            offers.append((plain_name, value))
        if plain_name == "bodies" and isinstance(value, list):
            offers += [_offer(entry) for entry in value if isinstance(entry, Mapping)]
    marked = [(kind, value) for kind, value in offers if any(sign in kind for sign in _MARKUP)]
    marked.sort(key=lambda offer: "html" not in offer[0])
    return next((value for _, value in marked if value.strip()), "")


def _offer(entry: Mapping[str, Any]) -> tuple[str, str]:
    kinds = (entry.get(name) for name in ("role", "contenttype", "contentType"))
    value = entry.get("value")
    kind = " ".join(kind for kind in kinds if isinstance(kind, str)).lower()
    return kind, value if isinstance(value, str) else ""


# --- NITF


def nitf(story: Story) -> bytes:
    """Return the story as an NITF 3.6 document in UTF-8."""
    return document(nitf_element(story))


def document(root: Element) -> bytes:
    """Return an XML document in UTF-8."""
    told: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return told


def nitf_element(story: Story) -> Element:
    """Return the element `nitf` of a story."""
    root = etree.Element("nitf", version=_VERSION)
    _head(story, etree.SubElement(root, "head"))
    body = etree.SubElement(root, "body")
    _body_head(story, etree.SubElement(body, "body.head"))
    block = etree.SubElement(etree.SubElement(body, "body.content"), "block", id="Main")
    block.extend(story.blocks)
    etree.SubElement(body, "body.end")
    return root


def _head(story: Story, head: Element) -> None:
    item = story.item
    _text(head, "title", story.text("headline"))
    data = etree.SubElement(
        head, "docdata", **{"management-status": str(story.members.get("pubstatus", "usable"))}
    )
    _facts(data, "doc-id", **{"id-string": clean_text(f"{item.uri}:{item.version}")})
    _facts(data, "urgency", **{"ed-urg": str(item.urgency or "")})
    _facts(data, "date.issue", norm=_norm(item.versioncreated))
    _facts(data, "date.release", norm=_norm(item.embargoed) if item.embargoed else "")
    _facts(data, "date.expire", norm=_norm(item.expires) if item.expires else "")
    _facts(data, "ed-msg", info=story.text("ednote"))
    _facts(data, "du-key", key=story.text("slugline"), version=str(item.version))
    _facts(data, "doc.copyright", holder=story.text("copyrightnotice"))
    keys = [*names_of(story, "keywords"), *names_of(story, "subject")]
    listed = etree.SubElement(data, "key-list")
    for key in dict.fromkeys(keys):
        _facts(listed, "keyword", key=key)
    content = etree.SubElement(data, "identified-content")
    for member, tag in _TAGS.items():
        for name in names_of(story, member):
            _text(content, tag, name)
    for made in (listed, content):
        if not len(made):
            data.remove(made)


def _body_head(story: Story, head: Element) -> None:
    if headline := story.text("headline"):
        hedline = etree.SubElement(head, "hedline")
        etree.SubElement(hedline, "hl1", id="headline").text = headline
    for byline in story.members.get("bylines", ()):
        _byline(byline, head)
    if located := story.text("located"):
        _text(etree.SubElement(head, "dateline"), "location", located)
    summary = story.text("description_summary") or story.text("description_caption")
    if summary:
        _text(etree.SubElement(head, "abstract"), "p", summary)


def _byline(byline: Any, head: Element) -> None:
    by, title = (line_of(byline, name) for name in ("by", "title"))
    if by:
        made = etree.SubElement(head, "byline")
        made.text = by
        _text(made, "byttl", title)


def line_of(tree: Any, name: str) -> str:
    """Return a text member of a tree, "" without one, in characters that XML can have."""
    value = tree.get(name) if isinstance(tree, Mapping) else None
    return clean_text(value).strip() if isinstance(value, str) else ""


def names_of(story: Story, member: str) -> Iterator[str]:
    """Yield the words of a list, or the names of its entries."""
    entries = story.members.get(member)
    for entry in entries if isinstance(entries, list) else ():
        name = entry if isinstance(entry, str) else line_of(entry, "name")
        if name := clean_text(name).strip():
            yield name


def _facts(parent: Element, tag: str, **facts: str) -> None:
    """An empty element with facts as attributes, if there are any."""
    if known := {name: fact for name, fact in facts.items() if fact}:
        etree.SubElement(parent, tag, **known)


def _text(parent: Element, tag: str, text: str) -> None:
    if text:
        etree.SubElement(parent, tag).text = text


def _norm(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z".translate(
        {ord(sign): None for sign in "-:"}
    )


# --- plain text


def plain(story: Story) -> bytes:
    """Return the story as plain text in UTF-8: headline, byline, place, and the body's
    paragraphs.
    """
    bylines = [by for one in story.members.get("bylines", ()) if (by := line_of(one, "by"))]
    parts = (
        story.text("headline"),
        "\n".join(bylines),
        story.text("located"),
        plain_text(list(story.blocks))
        or story.text("description_summary")
        or story.text("description_caption"),
    )
    return ("\n\n".join(part for part in parts if part) + "\n").encode()
