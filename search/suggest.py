"""Suggestions as one types: what is asked is checked here, what answers is the archive."""

from __future__ import annotations

from core.callers import Caller
from core.errors import QueryError
from core.ports import Suggestions
from core.suggestions import Suggestion

MAX_SUGGESTIONS = 50
MAX_TYPED_CHARACTERS = 200


class Suggester:
    """Completes what was typed so far; safe to call from any number of threads."""

    def __init__(self, archive: Suggestions) -> None:
        self._archive = archive

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """See `core.ports.Suggestions`. Raises QueryError for a `limit` that is not 1 to
        MAX_SUGGESTIONS and for more than MAX_TYPED_CHARACTERS characters.
        """
        if not 1 <= limit <= MAX_SUGGESTIONS:
            raise QueryError(f"limit is {limit}", mend=f"it must be 1 to {MAX_SUGGESTIONS}")
        if len(text) > MAX_TYPED_CHARACTERS:
            raise QueryError(
                f"the text has {len(text)} characters",
                mend=f"suggestions are made for at most {MAX_TYPED_CHARACTERS}",
            )
        return self._archive.suggest(text, limit, caller)
