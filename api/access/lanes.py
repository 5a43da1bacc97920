"""Decides which threads do a write. A write that hides an item goes first and waits for no model. A
few documents don't wait behind bulks. Bulks have their own queue, bounded by their size.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from api.access.callers import Surface
from api.access.pool import WorkPool
from api.content.writes import uri_of
from core.callers import Caller
from core.errors import DatelineError
from core.writes import Part, Written
from indexing.sources import Rejected

Outcome: TypeAlias = Written | Rejected | DatelineError
_FEW = 8  # documents
_PLACE_BYTES = 1 << 20  # bytes of a bulk for each place that it takes in its queue
_SHOWN = frozenset({"", "usable", "embargoed"})


async def write_documents(
    surface: Surface,
    caller: Caller,
    documents: Sequence[Any],
    products: Sequence[str],
    body_bytes: int,
    refused: DatelineError | None = None,
) -> tuple[list[Outcome], str]:
    """Return what became of each of `documents` (parsed JSON), in order, and a note if searches
    don't find all of them yet.

    With `refused`, only documents that hide their item are written, and each other one gets that
    error. Raises the error if all documents failed with the same one.
    """
    put = partial(surface.services.ingest.put_documents, products=products, by=caller)
    hiding = [*_hiding(documents)]
    others = [place for place in range(len(documents)) if place not in {*hiding}]
    outcomes: dict[int, Outcome] = {}
    behind = ""
    if hiding:
        first = [documents[place] for place in hiding]
        run = surface.statuses.run(partial(put, first, part=Part.TEXT), caller)
        outcomes |= await _answers(hiding, run)
        # Adds the vectors later, for the time when the items are visible again.
        surface.bulks.offer(partial(put, first, part=Part.VECTORS), caller)
    if others and refused is not None:
        outcomes |= dict.fromkeys(others, refused)
    elif others:
        work = partial(put, [documents[place] for place in others])
        pool, places = surface.writes, 1
        if len(others) > _FEW or body_bytes > _PLACE_BYTES:
            pool, places = surface.bulks, 1 + body_bytes // _PLACE_BYTES
        outcomes |= await _answers(others, pool.run(work, caller, places))
        behind = await covered(surface, caller, pool)
    answers = [outcomes[place] for place in range(len(documents))]
    failed = [answer for answer in answers if isinstance(answer, DatelineError)]
    if failed and len(failed) == len(answers):
        raise failed[0]
    return answers, behind


async def covered(surface: Surface, caller: Caller, pool: WorkPool) -> str:
    """Return a note if searches don't find yet what was just recorded, else "". The write is
    recorded, so a failure here is not an error.
    """
    try:
        return await pool.run(surface.services.writer.cover, caller)
    except DatelineError as error:
        return f"words: not all is found by words yet ({error.what})"


async def _answers(
    places: Sequence[int], run: Awaitable[Sequence[Outcome]]
) -> Mapping[int, Outcome]:
    """Return the outcomes by place; if a whole run fails, its error is the outcome of each
    place.
    """
    try:
        found = await run
    except DatelineError as error:
        found = [error] * len(places)
    return dict(zip(places, found, strict=True))


def _hiding(documents: Sequence[Any]) -> Iterator[int]:
    """Yield the places of documents that hide an item. A document whose item an earlier one names
    is left out, because the order of the two matters.
    """
    seen: set[str] = set()
    for place, document in enumerate(documents):
        uri = uri_of(document)
        if uri and uri not in seen and _hides(document):
            yield place
        seen.add(uri)


def _hides(document: Mapping[str, Any]) -> bool:
    """Return whether a document says that its item must not be seen. The ingest checks closely; a
    wrong guess here only costs a place in the wrong queue.
    """
    said = document.get("pubstatus") or document.get("pubStatus") or ""
    return not isinstance(said, str) or said.strip().lower().removeprefix("stat:") not in _SHOWN
