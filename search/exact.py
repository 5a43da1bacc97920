"""Finds the items of which the whole query is a slugline, byline, credit, source, uri or AP item
id. They come first, whatever the query's words would rank.
"""

from __future__ import annotations

import re

import numpy as np

from core.ports import Standings
from core.query_fields import FACT, ID
from core.query_tree import Bool, Keyword, Node
from core.retrieval import Ids, Retrieval
from search.answers import SearchRequest

NO_IDS: Ids = np.zeros(0, np.int64)
MOST = 100  # items that come first, the newest
_LONGEST = 256  # characters
_LINES = ("slugline", "byline")
_SIGNED = re.compile(r"(?i)^by:?\s+(?=\S)")


def exact_value(query: str) -> Node | None:
    """The facts of an item that has the whole query as one of its values; None for a query that can
    be none.
    """
    value = " ".join(query.split())
    if not 0 < len(value) <= _LONGEST:
        return None
    ids = [f"{name}:{value}" for name in ("uri", "itemid", *_LINES)]
    signed = _SIGNED.sub("", value)
    if signed != value:
        ids.append(f"byline:{signed}")
    facts = Keyword(FACT, (f"source:{value}", f"credit:{value}"))
    return Bool(should=(Keyword(ID, tuple(ids)), facts))


def exact_ids(archive: Standings, request: SearchRequest, asked: Retrieval) -> Ids:
    """The ids of at most MOST items that the caller may see, that pass the filters, and that have
    the whole query as one of their values.
    """
    facts = None if request.similar_to or request.text else exact_value(request.q)
    return NO_IDS if facts is None else archive.having(facts, asked.caller, asked.filters, MOST)
