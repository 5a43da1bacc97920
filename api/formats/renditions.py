"""The renditions of a story that are made when they are asked for: NITF, NewsML-G2, plain text.

To add one, add its writer here, and its name where it can be asked for: `api/content/routes.py` and
`api/media/content_routes.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from api.formats.newsml import newsml
from api.formats.texts import NITF, PLAIN, Story, nitf, plain, story_of
from core.callers import Caller
from core.items import Item
from core.ports.engine import Library

NEWSML = "newsmlg2"
MEDIA_TYPES = {
    NITF: "application/nitf+xml",
    NEWSML: "application/vnd.iptc.g2.newsitem+xml",
    PLAIN: "text/plain; charset=utf-8",
}
_WRITERS: dict[str, Callable[[Story], bytes]] = {NITF: nitf, NEWSML: newsml, PLAIN: plain}


def text_rendition(form: str, item: Item, caller: Caller, library: Library) -> bytes:
    """Return an item as one of MEDIA_TYPES, as the guard lets the caller see it at this moment."""
    return _WRITERS[form](story_of(item, caller, library))
