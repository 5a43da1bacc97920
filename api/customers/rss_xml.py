"""RSS 2.0 (https://www.rssboard.org/rss-specification), made of items and of lists of feeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from core.items import Item
from customers.rss import RssFeed

MEDIA_TYPE = "application/rss+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
register_namespace("atom", _ATOM)


def feed_xml(
    feed: RssFeed,
    items: Sequence[Item],
    address: str,
    pages: Sequence[str],
    shows: Callable[[str], bool],
) -> bytes:
    """Return a feed's document. `address` is its own, `pages` that of each item, and `shows` says
    which members of items are told; an item has always a title, a link and its id.
    """
    rss, channel = _channel(feed.title, feed.description, address)
    if items:
        newest = max(item.versioncreated for item in items)
        _text(channel, "lastBuildDate", format_datetime(newest, usegmt=True))
    for item, page in zip(items, pages, strict=True):
        _item(channel, item, page, shows)
    return _document(rss)


def list_xml(feeds: Sequence[RssFeed], address: str, pages: Sequence[str]) -> bytes:
    """Return the document that lists the feeds, each an item of it."""
    rss, channel = _channel("RSS feeds", "The RSS feeds that this key may read", address)
    for feed, page in zip(feeds, pages, strict=True):
        entry = SubElement(channel, "item")
        _text(entry, "title", feed.title)
        _text(entry, "link", page)
        _text(entry, "description", feed.description)
        SubElement(entry, "guid", isPermaLink="false").text = str(feed.id)
    return _document(rss)


def _channel(title: str, description: str, address: str) -> tuple[Element, Element]:
    rss = Element("rss", version="2.0")
    channel = SubElement(rss, "channel")
    _text(channel, "title", title)
    _text(channel, "link", address)
    _text(channel, "description", description)
    SubElement(channel, f"{{{_ATOM}}}link", href=address, rel="self", type=MEDIA_TYPE)
    return rss, channel


def _item(channel: Element, item: Item, page: str, shows: Callable[[str], bool]) -> None:
    entry = SubElement(channel, "item")
    headline = item.headline if shows("headline") else ""
    slugline = item.slugline if shows("slugline") else ""
    _text(entry, "title", headline or slugline or item.uri)
    _text(entry, "link", page)
    if shows("description"):
        _text(entry, "description", item.description)
    for subject in item.subject if shows("subject") else ():
        if subject.name:
            _text(entry, "category", subject.name)
    guid = SubElement(entry, "guid", isPermaLink="false")
    guid.text = _NO_XML.sub("", f"{item.uri}#{item.version}")
    if shows("versioncreated"):
        _text(entry, "pubDate", format_datetime(item.versioncreated, usegmt=True))


def _text(parent: Element, name: str, text: str) -> None:
    if text:
        SubElement(parent, name).text = _NO_XML.sub("", text)


def _document(rss: Element) -> bytes:
    made: bytes = tostring(rss, encoding="utf-8", xml_declaration=True)
    return made
