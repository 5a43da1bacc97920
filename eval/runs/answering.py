"""The systems that answer judged queries: the pipeline in this process, or a service elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from core.callers import Caller
from core.errors import QueryError
from search.answers import MAX_PAGE_SIZE, DateUse, EntityUse, Searches, SearchRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query: uris as served, best first; the flags of stages that were skipped or
    cut short; milliseconds until its last page; why it was refused, or "".
    """

    uris: tuple[str, ...]
    degraded: tuple[str, ...]
    milliseconds: float
    refused: str = ""


class Answering(Protocol):
    """Answers one query after the other."""

    def answer(self, text: str, depth: int, dates: DateUse = DateUse.FILTER) -> Answer:
        """Return the best `depth` stories for a query; `dates` says what its dates do. A refused
        query is an answer too; raises QueryError for an unknown profile.
        """
        ...


@dataclass(frozen=True, slots=True)
class PipelineAnswers:
    """Asks a pipeline as the service does, page by page, without marks. `entities` says what names
    in queries do.
    """

    pipeline: Searches
    profile: str
    caller: Caller
    entities: EntityUse = EntityUse.BOOST

    def answer(self, text: str, depth: int, dates: DateUse = DateUse.FILTER) -> Answer:
        """Return the best `depth` stories; a refused query is an answer too."""
        request = SearchRequest(
            q=text,
            profile=self.profile,
            page_size=min(depth, MAX_PAGE_SIZE),
            highlight=False,
            entities=self.entities,
            dates=dates,
        )
        started = perf_counter()
        uris: list[str] = []
        try:
            response = self.pipeline.search(request, self.caller)
            uris += [hit.item.uri for hit in response.hits]
            while response.cursor and len(uris) < depth:
                following = replace(request, cursor=response.cursor)
                response = self.pipeline.search(following, self.caller)
                uris += [hit.item.uri for hit in response.hits]
        except QueryError as error:
            return Answer((), (), (perf_counter() - started) * 1000, str(error))
        milliseconds = (perf_counter() - started) * 1000
        return Answer(tuple(uris[:depth]), response.degraded, milliseconds)
