"""Which documents are in an XML file? NewsML-G2, NITF, RSS 2.0 and Atom, by their root."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from indexing.formats import feeds, newsml, nitf
from indexing.formats.entries import Entry
from indexing.formats.xml_tree import XmlTree, name_of

CONTENT_TYPES = frozenset(
    {
        "application/atom+xml",
        "application/nitf+xml",
        "application/rss+xml",
        "application/vnd.iptc.g2.newsitem+xml",
        "application/vnd.iptc.g2.newsmessage+xml",
        "application/vnd.iptc.g2.packageitem+xml",
        "application/xml",
        "text/xml",
    }
)
_READERS: dict[str, Callable[[XmlTree], Iterator[Entry]]] = {
    "newsMessage": newsml.documents,
    **dict.fromkeys((*newsml.ITEMS, *newsml.NO_NEWS), newsml.documents),
    "nitf": nitf.documents,
    "rss": feeds.rss,
    "feed": feeds.atom,
    "entry": feeds.atom,
}


def documents(tree: XmlTree) -> Iterator[Entry] | None:
    """Return the documents of a file; None if its root is of none of these formats."""
    reader = _READERS.get(name_of(tree.root))
    return None if reader is None else reader(tree)
