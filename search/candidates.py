"""The frozen list of candidates: one for each story, near-duplicates folded on request.

The rule of folding: from the best candidate down, each candidate joins the best-placed group whose
first member has nearly the same text (an estimated Jaccard similarity of at least NEAR), else it
begins a group. Only first members are compared, so a group never drifts away from its first text.
What editors pinned always begins a group.

Groups are frozen with the candidates. The place of a group is that of its first member. At each
request its best-placed visible member is the hit, and the other visible members are folded under
it. A group without visible members is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from core.callers import Caller
from core.query_tree import Node, is_fact, without_field
from core.retrieval import Floats, Ids, Marks, Retrieval, Retrieved, TextSignatures, TotalRelation
from rerank.deadline import Mixing
from search.answers import Fold, Relevance, Understood
from search.ranking import Fused, Weighed, exact_ids, fuse, ranking, with_items
from search.retrieval import Engine, ListByDate, retrieve
from search.similar import check_still_there

# Of Reuters' 19,043 stories, 460 pairs are at .8 or above. Seven of them differ in more than one
# number; five of these are forms filled in for another day. Every other pair that a person read is
# a repeat, a correction or a story under a new headline. At .7, 25 of 534 pairs differ in numbers;
# .9 finds 79 pairs fewer.
NEAR = 0.8
_ENOUGH = 10  # strong hits, a page
_BAND = 4  # columns that are compared together, 64 bits


@dataclass(frozen=True, slots=True)
class OpenFacet:
    """The candidates that an open facet counts, one per story; `groups` is as in a candidate
    set.
    """

    ids: Ids
    groups: Ids | None = None


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """One query's candidates from best to worst, one per story.

    `places[i]` is the place of candidate `ids[i]` in `found` and `fused`. `rerank_scores`
    [len(ids)] is NaN for candidates that were not reranked. Editors pinned the first `pinned` of
    them; the next `exact` have the whole query as a value, such as their slugline. `retrieval` is
    what the engine was asked. `similar_to` is the uri of the item of a "more like this" search, ""
    for a query. `groups` [len(ids)] is the place of the first near-duplicate of each candidate;
    None if they are not folded. The first `strong` of them are strong hits, by their `chances`
    [len(ids)] of being relevant; both are None if the answer has no floor. `teams` [len(ids)] says
    who put each candidate there, None in a list of one profile.
    """

    caller: Caller
    profile: str
    query: Node
    understood: Understood
    ids: Ids
    scores: Floats
    places: Ids
    found: Retrieved
    fused: Fused
    fused_ranks: Ids
    rerank_scores: Floats
    relation: TotalRelation
    degraded: tuple[str, ...]
    pinned: int = 0
    exact: int = 0
    retrieval: Retrieval | None = None
    similar_to: str = ""
    mixing: Mixing | None = None
    groups: Ids | None = None
    strong: int | None = None
    chances: Floats | None = None
    teams: Ids | None = None
    open_facets: Mapping[str, OpenFacet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RerankerInput:
    """What a reranker reads: the query's words, and for each story, best first, its item's `uri`
    ("" if it was hidden meanwhile), the fused score [n] and the text.
    """

    query: str
    uris: tuple[str, ...]
    fused: Floats
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FusionInput:
    """The values that one query's fusion starts from, before any weight applies, m candidates long.

    `names` is the share of known names, None if there are no known names. Equal numbers in
    `stories` are one story. `rerank_scores` is NaN if nothing was scored. `given_order` has all
    places, best first, where the order does not follow from scores, else None. `foreign` marks
    candidates in another language than the query, where the profile weighs them otherwise.
    """

    found: Retrieved
    names: Floats | None
    stories: Ids
    rerank_scores: Floats
    given_order: Ids | None
    degraded: tuple[str, ...]
    foreign: Marks | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """Which candidates are hits, for h groups with a visible member.

    `stands` [h] is the frozen place of each group, `faces` [h] the place of the candidate that is
    shown for it, and `folded` the places of the group's other visible members, best first.
    """

    stands: Ids
    faces: Ids
    folded: tuple[Ids, ...] = ()

    def before(self, place: int | None) -> Faces:
        """Return the hits whose group stands before this place; all for None."""
        if place is None:
            return self
        count = int(np.searchsorted(self.stands, place))
        return Faces(self.stands[:count], self.faces[:count], self.folded[:count])


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `size` visible hits, from number `start` of the list on. `before` hits come before
    the list.
    """

    start: int
    number: int
    size: int
    before: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The list that answers, and the page of it to show. `token` leads to kept candidates, "" if
    they are not kept yet. The candidates of a list `by_date` are those of its page alone.
    """

    candidates: CandidateSet
    page: Page
    token: str = ""
    by_date: ListByDate | None = None


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guard let through: `shown` (bool [n]) says which candidates are visible. They give
    the hits `every`, of which the first are `strong`; `hits` are those that the request wants.
    `open_facets` maps each open facet to the ids of the hits that it counts.
    """

    shown: Marks
    every: Faces
    strong: Faces
    hits: Faces
    open_facets: Mapping[str, Ids]


def group(engine: Engine, weighed: Weighed) -> CandidateSet:
    """Return the stories that answer, best first, one candidate each. They are frozen, so that
    every page shows a part of the same list; the page's number has no influence on them.
    """
    found, ranked, reranked = weighed.found, weighed.ranking, weighed.reranked
    question = weighed.evidence.question
    request, said = question.request, question.meaning.said
    notes = (reranked.note,) if reranked.note else ()
    places = pinned_first(exact_first(ranked.order, found, weighed.exact), found, weighed.pins)
    relation = TotalRelation.EXACT
    if not question.by_date:  # in a list by date, each item is a story's
        places = places[first_of_each(engine.chains(found.ids[places]))]
        relation = relation_of(
            question.asked,
            found,
            similar=bool(request.similar_to or request.text or request.picture),
        )
    ids, pinned = found.ids[places], len(first_of_each(engine.chains(weighed.pins)))
    folds = request.fold is not Fold.NONE
    exact = int(np.count_nonzero(np.isin(ids[pinned:], weighed.exact)))
    teams = None if weighed.teams is None else weighed.teams[places]
    if teams is not None:
        teams[: pinned + exact] = 0  # they are there by a rule of their own
    return CandidateSet(
        caller=question.caller,
        profile=question.profile.name,
        query=question.meaning.tree,
        understood=replace(said, notes=(*said.notes, *question.notes(), *notes)),
        ids=ids,
        scores=ranked.scores[places],
        places=places,
        found=found,
        fused=ranked.fused,
        fused_ranks=_ranks_in(ranked.by_score)[places],
        rerank_scores=reranked.scores[places],
        relation=relation,
        degraded=weighed.evidence.flags(reranked.flag),
        similar_to=request.similar_to,
        pinned=pinned,
        exact=exact,
        teams=teams,
        retrieval=question.asked,
        mixing=reranked.mixing,
        groups=groups_of(engine.signatures(ids), pinned=pinned) if folds else None,
    )


def with_open_facets(engine: Engine, weighed: Weighed, candidates: CandidateSet) -> CandidateSet:
    """Return the candidates, with separate ones for each open facet whose own filter is set, and
    the flags of what failed. The retrieval is repeated without that filter; the query's vector is
    not computed again. A list by date counts such facets in a list of their own.
    """
    question = weighed.evidence.question
    if question.by_date or not question.wider:
        return candidates
    found: dict[str, OpenFacet] = {}
    flags: list[str] = []
    for name, filters in question.wider.items():
        asked = replace(question.asked, filters=filters)
        wider = retrieve(engine, asked, question.profile)
        flags += [f"facet {name}: {flag}" for flag in (*wider.degraded, *wider.found.degraded)]
        found[name] = _opened(engine, weighed, wider.found, name)
    return replace(candidates, open_facets=found, degraded=(*candidates.degraded, *flags))


def has_enough(candidates: CandidateSet) -> bool:
    """Return whether so many hits are strong that nobody needs another spelling of the query."""
    return candidates.strong is not None and candidates.strong >= _ENOUGH


def first_page(weighed: Weighed, candidates: CandidateSet) -> Listing:
    """Return the list with the page that the request asks for; a list by date is its page alone."""
    request, by_date = weighed.evidence.question.request, weighed.evidence.by_date
    if by_date is not None:
        page = Page(0, by_date.page, request.page_size, by_date.rank)
        return Listing(candidates, page, by_date=by_date)
    start = (request.page - 1) * request.page_size
    return Listing(candidates, Page(start, request.page, request.page_size))


def guard(engine: Engine, candidates: CandidateSet, least: Relevance) -> Guarded:
    """Return what the record of truth lets the caller see of the candidates at this moment. Raises
    NotFoundError if the item of a "more like this" search has vanished since.
    """
    check_still_there(engine, candidates.similar_to, candidates.caller)
    shown = _visible(engine, candidates.ids, candidates.caller)
    every = faces_of(shown, candidates.groups)
    strong = every.before(candidates.strong)
    opened = {
        name: own.ids[faces_of(_visible(engine, own.ids, candidates.caller), own.groups).faces]
        for name, own in candidates.open_facets.items()
    }
    hits = strong if least is Relevance.STRONG else every
    return Guarded(shown, every, strong, hits, opened)


def _visible(engine: Engine, ids: Ids, caller: Caller) -> Marks:
    """Return bool [n]: which of `ids` the caller may see at this moment."""
    seen = engine.visible(ids, caller)
    return np.ones(len(ids), np.bool_) if len(seen) == len(ids) else np.isin(ids, seen)


def _opened(engine: Engine, weighed: Weighed, found: Retrieved, name: str) -> OpenFacet:
    """Return one candidate per story of what is found without the filter by the facet `name`. If
    the request folds near-duplicates, these are folded, too. The story of the "more like this" item
    is left out.
    """
    question = weighed.evidence.question
    if weighed.pinned:
        filters = question.wider[name]
        found = with_items(found, engine.shown(weighed.pinned, question.caller, filters))
    found = with_items(found, exact_ids(engine, question, without_field(question.beside, name)))
    ids = found.ids[ranking(fuse(found, question.profile).scores, found.ids)]
    stories = engine.chains(ids)
    places = first_of_each(stories)
    if (like := question.meaning.like) is not None:
        places = places[stories[places] != like.story]
    folds = question.request.fold is not Fold.NONE
    return OpenFacet(ids[places], groups_of(engine.signatures(ids[places])) if folds else None)


def first_of_each(stories: Ids) -> Ids:
    """Return the place of the first occurrence of each number in `stories`, in order."""
    _, firsts = np.unique(stories, return_index=True)
    return np.sort(firsts)


def exact_first(order: Ids, found: Retrieved, exact: Ids) -> Ids:
    """Return `order` with the places of the items `exact` moved to the front; both parts keep their
    order.
    """
    if not len(exact):
        return order
    first = np.isin(found.ids[order], exact)
    return np.concatenate([order[first], order[~first]])


def pinned_first(order: Ids, found: Retrieved, pins: Ids) -> Ids:
    """Return `order` with the places of the items `pins` moved to the front, in the order of
    `pins`.
    """
    if not len(pins):
        return order
    by_id = np.argsort(found.ids)
    first: Ids = by_id[np.searchsorted(found.ids[by_id], pins)]
    return np.concatenate([first, order[~np.isin(order, first)]])


def _ranks_in(order: Ids) -> Ids:
    """Return the 1-based rank of each candidate in `order`."""
    ranks: Ids = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def relation_of(retrieval: Retrieval, found: Retrieved, *, similar: bool) -> TotalRelation:
    """Return what the number of candidates means.

    Vectors, and a search for items `similar` to one, always find the nearest, so the number is the
    size of a window. A list of matches that was cut is a lower bound.
    """
    if retrieval.vectors or similar:
        return TotalRelation.WINDOW
    browsing = is_fact(retrieval.query)
    if browsing or found.lexical_matches <= retrieval.lexical_depth:
        return TotalRelation.EXACT
    return TotalRelation.LOWER_BOUND


def groups_of(signatures: TextSignatures, near: float = NEAR, pinned: int = 0) -> Ids:
    """Return int64 [n]: for each candidate, best first, the place of its group's first member.
    Raises ValueError if `near` is not above .75.
    """
    rows = signatures.rows
    needed = int(np.ceil(near * rows.shape[1]))
    bands = rows.shape[1] // _BAND - (rows.shape[1] - needed)
    if bands < 1:
        raise ValueError("so small a similarity may share no band")
    groups: Ids = np.arange(len(rows), dtype=np.int64)
    firsts: list[int] = []
    for place in _sharing(signatures, bands).tolist():
        if place >= pinned and firsts:
            equal = np.count_nonzero(rows[firsts] == rows[place], axis=1)
            joined = np.flatnonzero(equal >= needed)
            if len(joined):
                groups[place] = firsts[int(joined[0])]
                continue
        firsts.append(place)
    return groups


def _sharing(signatures: TextSignatures, least: int) -> Ids:
    """Return the places of candidates that share at least `least` bands with others. Every pair
    that is near enough is among them: each column in which two differ spoils at most one band.
    """
    places = np.flatnonzero(signatures.comparable)
    bands = np.ascontiguousarray(signatures.rows[places]).view(np.uint64)
    shared = np.zeros(len(places), np.int64)
    for column in np.ascontiguousarray(bands.T):
        shared += _repeated(column)
    return places[shared >= least]


def _repeated(values: npt.NDArray[np.uint64]) -> Marks:
    """Return bool [n]: which values occur more than once."""
    order = np.argsort(values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    found = np.zeros(len(values), np.bool_)
    found[order[1:][same]] = True
    found[order[:-1][same]] = True
    return found


def faces_of(shown: Marks, groups: Ids | None) -> Faces:
    """Return which of the candidates in `shown` (bool [n]) are hits. Without `groups`, each
    candidate is a hit.
    """
    places: Ids = np.flatnonzero(shown)
    if groups is None:
        return Faces(places, places)
    stands, first, which = np.unique(groups[places], return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    members = np.split(places[order], np.cumsum(np.bincount(which))[:-1]) if len(places) else []
    return Faces(stands, places[first], tuple(group[1:] for group in members))


def ranks_of(stands: Ids, groups: Ids | None) -> Ids:
    """Return int64 [h]: the 1-based ranks of groups among all frozen groups."""
    if groups is None:
        return stands + 1
    begins: Ids = np.cumsum(groups == np.arange(len(groups)))
    return begins[stands]


def face_of(place: int, shown: Marks, groups: Ids | None) -> int:
    """Return the place of the hit that shows the candidate at `place`: its own place if it is a hit
    itself, -1 if it is not shown.
    """
    if not shown[place]:
        return -1
    if groups is None:
        return place
    return int(np.flatnonzero(shown & (groups == groups[place]))[0])
