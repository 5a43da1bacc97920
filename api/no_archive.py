"""Stands in for the archive in a service that only runs models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from core.callers import Caller
from core.errors import DatelineError, NotFoundError
from core.items import Item
from core.standing import Sight
from core.writes import Part, SetStatus, Written
from indexing.sources import Rejected
from search.answers import SearchRequest, SearchResponse


class NoArchive:
    """Every port of an archive; each method answers that there is no archive."""

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def item(self, uri: str, caller: Caller) -> Item | None:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def set_status(self, changes: Sequence[SetStatus], by: Caller) -> tuple[Written, ...]:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def cover(self) -> str:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def put_documents(
        self,
        documents: Sequence[Mapping[str, Any]],
        products: Sequence[str],
        by: Caller,
        part: Part = Part.WHOLE,
    ) -> Sequence[Written | Rejected | DatelineError]:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def correct(self, item: Item, texts: Mapping[str, str], by: Caller, reason: str) -> Written:
        """Raise NotFoundError: there is no archive."""
        self._absent()

    def _absent(self) -> NoReturn:
        raise NotFoundError("This service has no archive.", mend="Ask the search service.")
