"""A pipeline that passes each query's words on to a sample of queries."""

from __future__ import annotations

from collections.abc import Callable

from core.callers import Caller
from search.answers import SearchRequest, SearchResponse
from search.pipeline import SearchPipeline


class SampledSearch:
    """Answers like `pipeline`. `keep` gets the words of each query when its first page is asked
    for, and must not wait.
    """

    def __init__(self, pipeline: SearchPipeline, keep: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._keep = keep

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Search, and pass the words to `keep`."""
        if not request.cursor:
            self._keep(request.q)
        return self._pipeline.search(request, caller)
