"""Why an item is not among the hits: the first stage that dropped it, and what would have kept it.

All comes from the search that was just answered: its filters, its tree, its candidates. Only if
every stage let the item through and the retrievers did not reach it, the same retrieval runs again,
deeper. A list by date has everything that matches, so there an item that matches has a place.

Only callers who may inspect learn that an item is killed, withheld, embargoed, expired or not
theirs. Everyone else gets the answer for an unknown uri.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from core.callers import Caller
from core.ports.engine import Standings
from core.query_tree import (
    EVERYTHING,
    Bool,
    DateRange,
    Everything,
    Node,
    Word,
    all_of,
    constraint,
    is_fact,
    scored_words,
)
from core.retrieval import Browse, Floats, Ints, Marks, Retrieval, Retrieved, SortOrder
from core.standing import Hiding, Standing
from search.answers import Missing, MissingStage, RetrieverMiss, SearchRequest
from search.candidates import CandidateSet, Guarded, Listing, face_of
from search.profiles import Profile
from search.retrieval import Engine, retrieve
from search.understanding.understand import describe

PROBED_DEPTH = 2000  # depth to which the retrievers' lists are searched for the item

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME_TIME = 10_000  # items of one time among which the item's place is looked for
_ANY_WORDS = Bool(must_not=(Word("\ue000"),))  # every item of the index: texts have no such word
_STATES = {
    Hiding.CANCELED: (
        "it is killed",
        "nothing: a kill is for good, for later versions too, unless the desk lifts it",
    ),
    Hiding.WITHHELD: ("it is withheld", "the desk sets its pubstatus to usable"),
}


def why_missing(
    engine: Engine,
    profiles: Mapping[str, Profile],
    listing: Listing,
    guarded: Guarded,
    request: SearchRequest,
) -> tuple[Missing | None, tuple[str, ...]]:
    """Return why `request.why_missing` is not among the hits of the answer, and the flags of what
    failed in finding that out; None if the request does not ask.
    """
    if not request.why_missing:
        return None, ()
    if listing.by_date is not None:
        return _not_listed(engine, listing.by_date.wanted, request), ()
    candidates, shown = listing.candidates, guarded.shown
    standing = engine.standing(request.why_missing)
    flags: dict[str, None] = {}

    def deeper(asked: Retrieval) -> Retrieved:
        answer = retrieve(engine, asked, profiles[candidates.profile])
        told = (*answer.degraded, *answer.found.degraded)
        flags.update(dict.fromkeys(f"why_missing: {flag}" for flag in told))
        return answer.found

    hits = np.zeros_like(shown)
    hits[guarded.hits.faces] = True
    missing = _folded_under(standing, candidates, shown, request.why_missing)
    if missing is None:
        missing = _dropped(engine, standing, candidates, hits, request, deeper)
    return missing, tuple(flags)


def _dropped(
    archive: Standings,
    standing: Standing,
    candidates: CandidateSet,
    hits: Marks,
    request: SearchRequest,
    deeper: Callable[[Retrieval], Retrieved],
) -> Missing:
    """Return the first stage that dropped the item; `hits` (bool [n]) says which candidates are
    shown.
    """
    uri, caller = request.why_missing, candidates.caller
    hidden = _hidden(archive, uri, standing, caller)
    if hidden is not None:
        return hidden
    if candidates.retrieval is None:
        raise ValueError("these candidates were made without a retrieval")
    retrieval = candidates.retrieval
    places = np.flatnonzero(candidates.ids == standing.id)
    if len(places) and hits[places[0]]:
        return _listed(uri, int(np.count_nonzero(hits[: places[0]])), request)
    failed = _failed(archive, uri, standing.id, retrieval)
    if failed is not None:
        return failed
    if standing.id in candidates.found.ids:
        return Missing(
            uri,
            MissingStage.STORY,
            "another item of its story is better placed and stands for it",
            "open the hit's chain",
        )
    return _not_retrieved(archive, uri, standing.id, candidates, retrieval, deeper)


def _not_listed(engine: Engine, wanted: Browse, request: SearchRequest) -> Missing:
    """Return why the item is not on the page of a list by date that `wanted` asks for. The list has
    everything that matches, so an item that matches has a place in it.
    """
    uri, asked = request.why_missing, wanted.asked
    standing = engine.standing(uri)
    hidden = _hidden(engine, uri, standing, asked.caller)
    if hidden is not None:
        return hidden
    failed = _failed(engine, uri, standing.id, asked)
    if failed is not None:
        return failed
    if not all(engine.satisfies(standing.id, (asked.query,))):
        lacks = tuple(dict.fromkeys(word.text for word in scored_words(asked.query)))
        return Missing(
            uri,
            MissingStage.QUERY,
            f"no word matches it ({', '.join(lacks)})",
            "one of its own words",
            words_missing=lacks,
        )
    return _listed(uri, _before(engine, asked, standing.id), request)


def _before(engine: Engine, asked: Retrieval, id_: int) -> int:
    """Return how many items stand before an item in a list by date."""
    created = int(engine.created(np.array([id_], np.int64))[0])
    time = _EPOCH + timedelta(microseconds=created)
    after = time + timedelta(microseconds=1)
    if asked.order is SortOrder.NEWEST:
        earlier = DateRange("versioncreated", after, None)
    else:
        earlier = DateRange("versioncreated", None, time)
    same = DateRange("versioncreated", time, after)
    ids = engine.browse(Browse(_within(asked, same), _SAME_TIME)).ids
    places = np.flatnonzero(ids == id_)
    before = int(places[0]) if len(places) else len(ids)
    return before + engine.browse(Browse(_within(asked, earlier), 1)).matches


def _within(asked: Retrieval, dates: DateRange) -> Retrieval:
    return replace(asked, filters=all_of(asked.filters, dates))


def _failed(archive: Standings, uri: str, id_: int, asked: Retrieval) -> Missing | None:
    """Return the answer for an item that a filter or a part of the query excludes, or whose words
    are not indexed yet; None for any other.
    """
    if failed := _failing(archive, id_, asked.filters):
        return _excluded(uri, MissingStage.FILTERS, failed)
    if not is_fact(asked.query) and not all(archive.satisfies(id_, (_ANY_WORDS,))):
        return Missing(
            uri,
            MissingStage.RETRIEVAL,
            "its words are not indexed yet",
            "nothing: ask again in a moment",
        )
    if failed := _failing(archive, id_, asked.query):
        return _excluded(uri, MissingStage.QUERY, failed)
    return None


def _folded_under(
    standing: Standing, candidates: CandidateSet, shown: Marks, uri: str
) -> Missing | None:
    """Return the answer for a visible item that stands under a hit with nearly the same text; None
    for any other. `shown` is bool [n]: the visible candidates.
    """
    places = np.flatnonzero(candidates.ids == standing.id)
    if candidates.groups is None or not len(places) or not shown[places[0]]:
        return None
    if face_of(int(places[0]), shown, candidates.groups) == places[0]:
        return None
    return Missing(
        uri,
        MissingStage.FOLDED,
        "a better-placed story with nearly the same text stands for it",
        "leave fold out, or open the near-duplicates of that hit",
    )


def _hidden(archive: Standings, uri: str, standing: Standing, caller: Caller) -> Missing | None:
    """Return what hides the item from every answer to this caller; None if nothing does."""
    unknown = Missing(
        uri, MissingStage.ARCHIVE, "there is no such item, for this key", "check the uri"
    )
    if standing.hiding is Hiding.UNKNOWN:
        return unknown
    superseded = standing.hiding is Hiding.SUPERSEDED
    if not superseded and standing.hiding is not Hiding.NOTHING:
        return _state(uri, standing) if caller.may_inspect else unknown
    seen = len(archive.shown([standing.head if superseded else uri], caller, EVERYTHING)) > 0
    if superseded:
        return _superseded(uri, standing, caller, head_is_seen=seen) or unknown
    if seen:
        return None
    return _forbidden(uri, standing) if caller.may_inspect else unknown


def _state(uri: str, standing: Standing) -> Missing:
    when = f"{standing.moment:%Y-%m-%d %H:%M} UTC" if standing.moment else "an unknown time"
    if standing.hiding is Hiding.EMBARGOED:
        reason, mend = f"it is embargoed until {when}", f"wait until {when}"
    elif standing.hiding is Hiding.EXPIRED:
        reason, mend = f"it expired at {when}", "a new version with a later expiry"
    else:
        reason, mend = _STATES[standing.hiding]
    return Missing(uri, MissingStage.STATUS, reason, mend)


def _superseded(
    uri: str, standing: Standing, caller: Caller, *, head_is_seen: bool
) -> Missing | None:
    """Return the answer for a superseded item. Callers get it if they may see the head and this
    version, for then their chain shows it.
    """
    own = {code.casefold() for code in standing.products}
    held = {code.casefold() for code in caller.products}
    if not caller.may_inspect and not (head_is_seen and own & held):
        return None
    return Missing(
        uri,
        MissingStage.STORY,
        f"a newer item of its story stands for it: {standing.head}",
        "open that hit's chain",
    )


def _forbidden(uri: str, standing: Standing) -> Missing:
    needed = ", ".join(standing.products)
    reason = f"the key holds none of its products: {needed}" if needed else "it is in no product"
    mend = "a key with one of them" if needed else "put it into a product"
    return Missing(uri, MissingStage.ENTITLEMENT, reason, mend)


def _listed(uri: str, before: int, request: SearchRequest) -> Missing:
    page = before // request.page_size + 1
    where = f"it is number {before + 1} of this answer, on page {page}"
    mend = "nothing: it is on this page" if page == request.page else f"page {page}"
    return Missing(uri, MissingStage.NONE, where, mend, rank=before + 1, page=page)


def _excluded(uri: str, stage: MissingStage, failed: Sequence[Node]) -> Missing:
    said = tuple(describe(node) for node in failed)
    what = "filter" if stage is MissingStage.FILTERS else "part of the query"
    return Missing(
        uri,
        stage,
        f"this {what} excludes it: {'; '.join(said)}",
        "leave it out" if len(said) == 1 else "leave them out",
        excluded_by=said,
    )


def _not_retrieved(
    archive: Standings,
    uri: str,
    id_: int,
    candidates: CandidateSet,
    retrieval: Retrieval,
    deeper: Callable[[Retrieval], Retrieved],
) -> Missing:
    """Return the reason that every condition holds, but no retriever's list reached the item."""
    words = list(dict.fromkeys(scored_words(retrieval.query)))
    marks = archive.satisfies(id_, words)
    has = tuple(word.text for word, held in zip(words, marks, strict=True) if held)
    lacks = tuple(word.text for word, held in zip(words, marks, strict=True) if not held)
    found = deeper(
        replace(
            retrieval,
            lexical_depth=PROBED_DEPTH if retrieval.lexical_depth else 0,
            vector_depth=PROBED_DEPTH,
        )
    )
    misses = tuple(_misses(id_, candidates.found, found, retrieval))
    return Missing(
        uri,
        MissingStage.RETRIEVAL,
        _reach(has, lacks, misses, retrieval),
        "more of its own words, quotes or a filter that fits it, so that fewer stand before it",
        words=has,
        words_missing=lacks,
        retrievers=misses,
    )


def _misses(
    id_: int, found: Retrieved, deeper: Retrieved, retrieval: Retrieval
) -> Iterator[RetrieverMiss]:
    """Yield how far below each retriever's reach the item lies."""
    places = np.flatnonzero(deeper.ids == id_)
    at = int(places[0]) if len(places) else -1
    if retrieval.lexical_depth:
        last = _last(found.bm25, found.lexical_ranks)
        yield _miss("bm25", at, deeper.lexical_ranks, deeper.bm25, retrieval.lexical_depth, last)
    for part, deep in zip(found.vectors, deeper.vectors, strict=True):
        last = _last(part.cosines, part.ranks)
        name = f"vectors {part.field}"
        yield _miss(name, at, deep.ranks, deep.cosines, retrieval.vector_depth, last)


def _miss(
    name: str, at: int, ranks: Ints, scores: Floats, depth: int, last: float | None
) -> RetrieverMiss:
    rank = int(ranks[at]) if at >= 0 else 0
    score = float(scores[at]) if at >= 0 and np.isfinite(scores[at]) else None
    return RetrieverMiss(name, rank, depth, score, last)


def _last(scores: Floats, ranks: Ints) -> float | None:
    """Return the lowest score in a retriever's list."""
    listed = scores[(ranks > 0) & np.isfinite(scores)]
    return float(listed.min()) if len(listed) else None


def _reach(
    has: Sequence[str], lacks: Sequence[str], misses: Sequence[RetrieverMiss], retrieval: Retrieval
) -> str:
    if is_fact(retrieval.query) and not retrieval.vectors:
        return f"it is older than the {retrieval.lexical_depth:,} newest that are listed"
    parts: list[str] = []
    if retrieval.lexical_depth and not has:
        parts.append(f"no word matches it ({', '.join(lacks)})" if lacks else "no word matches it")
    for miss in misses:
        if miss.retriever == "bm25" and not has:
            continue
        where = f"{miss.rank:,}" if miss.rank else f"below {PROBED_DEPTH:,}"
        parts.append(f"rank {where} by {miss.retriever}, which gives the best {miss.depth:,}")
    return "; ".join(parts)


def _failing(archive: Standings, id_: int, node: Node) -> tuple[Node, ...]:
    """Return the conditions in `node` that the item does not meet."""
    held = tuple(_conditions(constraint(node)))
    marks = archive.satisfies(id_, held)
    return tuple(one for one, met in zip(held, marks, strict=True) if not met)


def _conditions(node: Node) -> Iterator[Node]:
    """Yield the conditions of a tree, one by one."""
    match node:
        case Everything():
            return
        case Bool(must, (), must_not):
            for child in must:
                yield from _conditions(child)
            for child in must_not:
                yield Bool(must_not=(child,))
        case Bool(must, _, must_not) if must:
            yield from _conditions(Bool(must, (), must_not))
        case _:
            yield node
