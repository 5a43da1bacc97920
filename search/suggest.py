"""Suggestions while one types: checks the request and asks the archive."""

from __future__ import annotations

from core.callers import Caller
from core.errors import QueryError
from core.ports.engine import Suggestions
from core.retrieval import Suggestion

MAX_SUGGESTIONS = 50
MAX_TYPED_CHARACTERS = 200


class Suggester:
    """Completes an unfinished text. Safe to call from any number of threads."""

    def __init__(self, archive: Suggestions) -> None:
        self._archive = archive

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return the archive's completions of `text` (`core.ports.engine.Suggestions`). Raises
        QueryError for a `limit` outside 1 to MAX_SUGGESTIONS and for more than MAX_TYPED_CHARACTERS
        characters.
        """
        if not 1 <= limit <= MAX_SUGGESTIONS:
            raise QueryError(f"limit is {limit}", mend=f"it must be 1 to {MAX_SUGGESTIONS}")
        if len(text) > MAX_TYPED_CHARACTERS:
            raise QueryError(
                f"the text has {len(text)} characters",
                mend=f"suggestions are made for at most {MAX_TYPED_CHARACTERS}",
            )
        return self._archive.suggest(text, limit, caller)
