"""Keeps candidate sets in memory and on a shared shelf, where other processes find them."""

from __future__ import annotations

import logging

from core.callers import Caller
from core.errors import ExpiredError
from core.ports import Shelf
from search.candidate_bytes import FormatError, from_bytes, to_bytes
from search.candidates import CandidateSet, CandidateStore, new_token, no_longer_known

log = logging.getLogger(__name__)


class SharedCandidateStore:
    """Keeps each set in memory for this process, and on the shelf for the others and for this one
    after a restart. If the shelf fails, memory is left.
    """

    def __init__(self, shelf: Shelf, memory: CandidateStore | None = None) -> None:
        self._shelf = shelf
        self._memory = memory or CandidateStore()

    def keep(self, candidates: CandidateSet) -> str:
        """Keeps a set in memory and on the shelf before the cursor is given out, so that the next
        request may go to any process.
        """
        token = new_token()
        self._memory.put(token, candidates)
        try:
            self._shelf.put(token, to_bytes(candidates))
        except FormatError as error:
            log.warning("a cursor is not shared: %s", error)
        return token

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """The set in memory or on the shelf; raises ExpiredError."""
        try:
            return self._memory.find(token, caller)
        except ExpiredError:
            pass
        kept = self._shelf.get(token)
        if kept is None:
            raise no_longer_known()
        try:
            candidates = from_bytes(kept)
        except FormatError as error:
            raise no_longer_known() from error
        if candidates.caller != caller:
            raise no_longer_known()
        return candidates
