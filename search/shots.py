"""Shots of a video as answers and as queries.

A hit opens at the shot that answers the query. `URI#t=12.5` in a "more like this" search names the
shot that is shown at that second (Media Fragments URI 1.0, section 4.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.callers import Caller
from core.errors import QueryError
from core.exemplars import Exemplar
from core.items import Item, Passage
from core.ports import Exemplars


def shot_of(item: Item, span: Passage) -> int:
    """The place in `item.shots` of the shot whose line of the shot list has `span`."""
    return item.shotlist.count("\n", 0, span.start)


def best_shot(item: Item, span: Passage | None, matches: Sequence[int]) -> int:
    """The number, from 1, of the shot that answers best; 0 where neither words nor meaning lead to
    a shot.

    It is the shot with most of the query's words (`matches` has each shot's count). Among equals it
    is the nearest by meaning (`span` is the item's best passage), else the first.
    """
    near = shot_of(item, span) if span is not None and span.field == "shotlist" else -1
    most = max(matches, default=0)
    if near >= 0 and (near >= len(matches) or matches[near] == most):
        return near + 1
    return list(matches).index(most) + 1 if most else 0


_ROUNDED_S = 1e-6  # answers give moments to microseconds
_MOMENT = re.compile(r"(?P<uri>.+)#t=(?P<seconds>\d{1,7}(?:\.\d{1,6})?)(?:,[\d.]{1,15})?", re.ASCII)


def exemplar_at(archive: Exemplars, uri: str, caller: Caller) -> Exemplar | None:
    """The item at `uri`; for a shot, that shot's words and vectors alone. None where the caller
    sees no such item. Raises QueryError for a shot that does not exist or has no description.
    """
    found = archive.exemplar(uri, caller)
    named = _MOMENT.fullmatch(uri)
    if found is not None or named is None:
        return found
    whole = archive.exemplar(named["uri"], caller)
    return None if whole is None else _of_shot(whole, float(named["seconds"]))


def _of_shot(whole: Exemplar, seconds: float) -> Exemplar:
    item = whole.item
    moment = seconds + _ROUNDED_S
    shown = (n for n, shot in enumerate(item.shots) if shot.start_s <= moment < shot.end_s)
    place = next(shown, -1)
    if place < 0 or not item.shots[place].description:
        raise QueryError(
            f"there is no described shot at {seconds:g} s",
            where="similar_to",
            mend="leave the moment out, or take one of a shot that has a description",
        )
    vectors = {}
    for field, matrix in whole.vectors.items():
        spans = whole.passages.get(field, ())
        rows = [
            row
            for row, span in enumerate(spans)
            if span.field == "shotlist" and shot_of(item, span) == place
        ]
        vectors[field] = matrix[np.array(rows, np.int64)]
    # Only what the shot shows: the video's other words would find items like the whole video.
    alone = replace(
        item,
        headline="",
        description=item.shots[place].description,
        body="",
        caption="",
        shots=(),
        subject=(),
        person=(),
        organisation=(),
        place=(),
    )
    return replace(whole, item=alone, vectors=vectors)
