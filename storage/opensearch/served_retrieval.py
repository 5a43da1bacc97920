"""Retrieval from the served index. A request with vectors of the old encoder is answered from the
old index. While an index is behind the record, the record filters out what it hides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.callers import Caller
from core.errors import DatelineError
from core.retrieval import Beside, Browse, Browsed, Retrieval, Retrieved
from core.threads import Threads
from storage.opensearch.nodes.connection import Cluster
from storage.opensearch.nodes.nodes import NodeSettings
from storage.opensearch.query.retrieval import SearchSettings, Sources, browse, retrieve
from storage.opensearch.view import View
from storage.opensearch.views import Views, searchable
from storage.record.arrivals import LastBefore, request_with_arrivals, with_arrivals
from storage.record.guard import Guard
from storage.words.topics import WrittenTopics

log = logging.getLogger(__name__)
MOST_COUNTED = 20_000  # items whose facts are read to count facets while the index is behind
_LONGEST = 3  # times a request's timeout: two for a search, half for the requests beside it


class ServedRetrieval:
    """`core.ports.engine.Retriever.retrieve` over `views`. A search waits at most `patience_s`
    until recorded changes are searchable. `now` returns microseconds. Thread-safe.
    """

    def __init__(
        self,
        views: Views,
        guard: Guard,
        topics: WrittenTopics,
        last_before: LastBefore,
        cluster: Cluster,
        nodes: NodeSettings,
        search: SearchSettings,
        patience_s: float,
        now: Callable[[], int],
    ) -> None:
        self._views = views
        self._guard = guard
        self._topics = topics
        self._last_before = last_before
        self._cluster = cluster
        self._search = search
        self._patience_s = patience_s
        self._longest_s = _LONGEST * nodes.timeout_s
        self._now = now
        self._beside = Threads(nodes.pool, "beside-searches")

    def retrieve(self, request: Retrieval) -> Retrieved:
        """Return the candidates for `request`; if the old index fails, ask the current one."""
        self._views.look()
        view = self._views.of(request)
        try:
            return self._retrieved(view, request)
        except DatelineError:
            if view is self._views.current:
                raise
            log.warning("index %s, the one before, does not answer", view.family.concrete)
        return self._retrieved(self._views.current, request)

    def browse(self, request: Browse, window: int) -> Browsed:
        """Return a stretch of everything that matches, by date. While the index is behind the
        record, items that the record hides are taken out, and facets count the newest items only.
        """
        self._views.look()
        view, wanted = self._views.current, request.facets
        behind = view.projector.make_searchable(self._patience_s)
        others = wanted.names if behind else ()
        names = () if behind else wanted.names
        facets = replace(wanted, names=names)
        request = replace(request, asked=self._read(request.asked), facets=facets)
        newest = MOST_COUNTED if behind else 0
        found, ids = browse(self._sources(view), request, window, newest)
        flags = []
        if others and found.matches > len(ids):
            of = f"the newest {len(ids):,} of {found.matches:,} items"
            flags.append(f"facets: {', '.join(others)} counted over {of}")
        if behind:
            caller = request.asked.caller
            seen, flags = self._guard.visible(ids, caller), [*flags, behind]
            hidden, ids = len(ids) - len(seen), seen
            shown = self._guard.visible(found.ids, caller)
            found = replace(found, ids=shown, matches=found.matches - hidden)
        counts = view.catalogue.facts.facets(
            ids, others, wanted.limit, wanted.buckets, broader=wanted.broader
        )
        return replace(found, facets={**found.facets, **counts}, degraded=(*found.degraded, *flags))

    def close(self) -> None:
        """Wait for the searches that run."""
        self._beside.shutdown()

    def _retrieved(self, view: View, request: Retrieval) -> Retrieved:
        behind = view.projector.make_searchable(self._patience_s)
        asked, flags = searchable(request, view)
        if behind:  # a value could be that of an item that was killed since
            asked = replace(asked, beside=Beside())
        found = retrieve(self._sources(view), self._read(asked))
        found = replace(found, degraded=(*found.degraded, *flags)) if flags else found
        return self._guarded(found, request.caller, behind) if behind else found

    def _read(self, request: Retrieval) -> Retrieval:
        """Return the request as an index reads it: subjects with the topics below them, and numbers
        of versions for times of arrival.
        """
        request = request_with_arrivals(self._topics.retrieval(request), self._last_before)
        within = self._topics.expanded(request.beside.within)
        within = with_arrivals(within, self._last_before)
        return replace(request, beside=replace(request.beside, within=within))

    def _sources(self, view: View) -> Sources:
        return Sources(
            view.searcher.replies,
            view.statistics,
            view.exact,
            view.projector.note.sums,
            self._search,
            self._now(),
            self._cluster.where,
            self._beside,
            self._longest_s,
            self._topics.topics,
        )

    def _guarded(self, found: Retrieved, caller: Caller, behind: str) -> Retrieved:
        """Remove what the record hides; `behind` says why the index may still hold it."""
        kept = np.isin(found.ids, self._guard.visible(found.ids, caller))
        hidden = int(np.count_nonzero(~kept & (found.lexical_ranks > 0)))
        vectors = tuple(
            replace(
                scores,
                cosines=scores.cosines[kept],
                passages=scores.passages[kept],
                ranks=scores.ranks[kept],
            )
            for scores in found.vectors
        )
        return replace(
            found,
            ids=found.ids[kept],
            bm25=found.bm25[kept],
            lexical_ranks=found.lexical_ranks[kept],
            lexical_matches=found.lexical_matches - hidden,
            vectors=vectors,
            degraded=(*found.degraded, behind),
        )
