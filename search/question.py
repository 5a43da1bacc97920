"""The question: a request, read once. It has what was understood, and what the engine is asked.

A request has words, an item to find similar ones, or a pasted text. Each of them becomes one
meaning: a tree for BM25, vectors, and facts that filter. The question holds all that the request
asks of retrieval, also the filters of open facets, so no later stage reads the query's text again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.callers import Caller, folded
from core.errors import QueryError
from core.ports.engine import Exemplars
from core.ports.models import TextAnalysis
from core.query_tree import Node, all_of, is_fact, scored_words, within_products, without_field
from core.retrieval import Beside, Retrieval, SortOrder
from search.answers import Counted, EntityUse, Fold, SearchRequest
from search.cursors import Start
from search.encoders import QueryEncoders, VectorPart
from search.profiles import Profile, profile_named
from search.similar import Sees, likeness, meaning_of_picture, meaning_of_text
from search.understanding.accidental_operators import is_text
from search.understanding.editorial import Editorial
from search.understanding.long_questions import of_length
from search.understanding.understand import Meaning, Understanding

MOST_EXACT = 100  # items that have the whole query as a value, the newest


@dataclass(frozen=True, slots=True)
class Question:
    """The understood request of `caller`, and the profile that ranks the answer.

    `beside` are the filters that the request itself gives, without those that were read in the
    query's words. `asked` is the request to the engine, `vectors` is its part for vectors, and
    `degraded` has the flags of what was left out. `counted` are the facets to count; `wider` maps
    each open facet to the filters without its own. The answer is a list `by_date` if that order is
    asked for, or if there is nothing to score by; it begins at `start`, None for a first page, and
    reads relative dates by `now`.
    """

    request: SearchRequest
    caller: Caller
    profile: Profile
    meaning: Meaning
    vectors: VectorPart
    beside: Node
    asked: Retrieval
    counted: Counted
    wider: Mapping[str, Node]
    by_date: bool
    now: datetime
    start: Start | None = None
    degraded: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return notes on what the vectors leave out of the query."""
        asked = [one.field for one in self.asked.vectors]
        unread = [name for name in asked if name in self.vectors.unread]
        cut = (f"vectors: not all of the query was read for field {name}" for name in unread)
        return (*self.vectors.notes, *cut)


@dataclass(frozen=True, slots=True)
class Questions:
    """Makes a question of each request, by the profiles and the editors' rules in force."""

    archive: Exemplars
    understanding: Understanding
    encoders: QueryEncoders
    analysis: TextAnalysis
    profiles: Mapping[str, Profile]
    default_profile: str
    editorial: Callable[[], Editorial]
    sees: Sees | None = None

    def question(
        self, request: SearchRequest, caller: Caller, counted: Counted, start: Start | None = None
    ) -> Question:
        """Return what `request` asks for, with the facets `counted`. A list by date that goes on at
        `start` reads dates by the time of its first page. Raises QueryError.
        """
        request, rules, analysis = _with_text(request), self.editorial(), self.analysis
        calendar = self.understanding.calendar(request.tz, request.locale)
        if start is not None:
            calendar = replace(calendar, now=start.now)
        profile = profile_named(self.profiles, request.profile or self.default_profile)
        if request.similar_to:
            uri, by = request.similar_to, request.similar_by
            meaning = likeness(self.archive, analysis, uri, caller, profile, by)
        elif request.picture:
            meaning = meaning_of_picture(request.picture, self.sees)
        elif request.text:
            language = self.understanding.language_of(request.text)
            meaning = meaning_of_text(request.text, self.archive, analysis, caller, language)
        else:
            read = self.encoders.languages(profile)
            meaning = self.understanding.meaning(request, caller, rules, calendar, read, analysis)
        if not is_fact(request.filters):
            raise QueryError("a filter asks for text", mend="filters are facts; put words into q")
        held = folded(caller.products)  # no tree names a product that the caller lacks
        tree = within_products(meaning.tree, held)
        own, filters = (within_products(one, held) for one in (meaning.filters, request.filters))
        # Names filter only if the request says so: they are no mere reading.
        beside = all_of(own, filters) if request.entities is EntityUse.FILTER else filters
        wider = {name: all_of(own, without_field(filters, name)) for name in counted.opened}
        # Folding compares within a list of candidates.
        like = bool(request.similar_to or request.picture)
        folds = request.fold is not Fold.NONE or like
        by_date = not folds and (request.order is not SortOrder.SCORE or is_fact(tree))
        tree, share = of_length(tree, meaning.typed or tuple(scored_words(tree)))
        meaning, order = replace(meaning, tree=tree, filters=own), request.order
        vectors = self.encoders.part(meaning, profile, order)
        asked = _asked(meaning, caller, all_of(own, filters), vectors, profile, share, order)
        if not by_date and order is SortOrder.SCORE:
            asked = replace(asked, beside=Beside(meaning.exact, beside, MOST_EXACT))
        return Question(
            request=request,
            caller=caller,
            profile=profile,
            meaning=meaning,
            beside=beside,
            asked=asked,
            vectors=vectors,
            counted=counted,
            wider=wider,
            by_date=by_date,
            now=calendar.now,
            start=start,
            degraded=vectors.degraded,
        )


def _asked(
    meaning: Meaning,
    caller: Caller,
    filters: Node,
    vectors: VectorPart,
    profile: Profile,
    share: float,
    order: SortOrder,
) -> Retrieval:
    """Return what the engine is asked. The words of an item and of a text are in no order that
    means anything; a query keeps the `share` of the weights of single fields.
    """
    no_order, weights = bool(meaning.like or meaning.passages), profile.lexical
    asks_words = profile.lexical_weight > 0 or not vectors.queries
    return Retrieval(
        meaning.tree,
        caller,
        filters,
        vectors.queries,
        profile.lexical_depth if asks_words else 0,
        profile.vector_depth,
        order,
        weights.of_words() if no_order else weights.with_fields(share),
    )


def _with_text(request: SearchRequest) -> SearchRequest:
    """Return the request. If its `q` is prose, or too long for a query, that becomes its `text`."""
    if request.text or request.picture or request.similar_to or not is_text(request.q):
        return request
    return replace(request, q="", text=request.q)
