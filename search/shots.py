"""Which shot of a video answers a query, so that a hit opens it at the moment."""

from __future__ import annotations

from collections.abc import Sequence

from core.items import Item, Passage


def shot_of(item: Item, span: Passage) -> int:
    """The place in `item.shots` of the shot whose line of the shot list `span` lies in."""
    return item.shotlist.count("\n", 0, span.start)


def best_shot(item: Item, span: Passage | None, matches: Sequence[int]) -> int:
    """The number, from 1, of the shot that has most of the query's words (`matches` has how many
    each has), of equals the one nearest by meaning (`span` is the item's best passage), else the
    first; 0 where neither words nor meaning lead to a shot.
    """
    near = shot_of(item, span) if span is not None and span.field == "shotlist" else -1
    most = max(matches, default=0)
    if near >= 0 and (near >= len(matches) or matches[near] == most):
        return near + 1
    return list(matches).index(most) + 1 if most else 0
