"""How many documents have a term, from the dictionaries of an index: each of its parts has one.

That costs next to nothing, and counts what is deleted and not merged away, as BM25 does. It is
asked beside a search and must not hold one up: it has a part of a search's time, and what does not
answer by then is left out, which is said. Copies on nodes that are known to hang are not asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import BusyError, StorageError
from storage.opensearch.nodes.connection import (
    NO_INDEX,
    Cluster,
    MissingError,
    Reply,
    error_of,
    ndjson,
    reason_of,
)
from storage.opensearch.nodes.nodes import SlowError, left_s, within
from storage.opensearch.query.statistics import Counts, Term

_COUNTED = "term_vectors.*.terms.*.doc_freq"
_OF_MANY = f"docs.{_COUNTED},docs.error"
_FOUND = "responses.status,responses.error,responses.hits.hits._id,responses._shards.failed"
_MISSING = 404


class Dictionary:
    """The dictionaries of `index`, of which there are `several` or one. `preferred` tells which
    nodes answer, as a search's preference ("" where all do), and `look` finds that out.
    Thread-safe.
    """

    def __init__(
        self,
        cluster: Cluster,
        index: str,
        preferred: Callable[[], str],
        look: Callable[[], None],
        *,
        several: bool = False,
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._preferred = preferred
        self._look = look
        self._longest_s = cluster.settings.nodes.timeout_s / 2
        self._several = several
        self._parts = 0  # not known yet
        self._routings: dict[int, str] = {}  # by part, a document's id that leads there
        self._lock = threading.Lock()

    def __call__(self, terms: Sequence[Term]) -> Counts:
        """How many documents have each term. What does not answer in half of the time of a request
        is not counted, which is said. Raises MissingError where there is no such index.
        """
        try:
            with within(self._longest_s):
                return self._asked_twice(terms)
        except MissingError:
            raise
        except StorageError as error:
            return Counts(lacking=error.what)

    def _asked_twice(self, terms: Sequence[Term]) -> Counts:
        """Where a node hangs, there is half of the time left to ask others."""
        try:
            with within(self._longest_s / 2):
                return self._asked(terms)
        except SlowError:
            self._look()
            return self._asked(terms)

    def _asked(self, terms: Sequence[Term]) -> Counts:
        preferred = self._preferred()
        routings, lacking = self._found(preferred) if self._several else ([""], "")
        if self._several and not preferred:
            docs = self._from_all(terms, routings)
        else:  # what goes to many parts at once does not go to nodes of our choice
            docs = [self._from_one(terms, preferred, routing) for routing in routings]
        errors = [each["error"] for each in docs if "error" in each]
        for error in errors:
            if NO_INDEX in reason_of(error):
                raise error_of(_MISSING, error, self._cluster.where)
        if errors:
            lacking = f"{len(errors)} parts of the index do not answer: {reason_of(errors[0])}"
        answers = [each for each in docs if "error" not in each]
        return Counts(_added(terms, answers) if answers or not lacking else {}, lacking)

    def _from_all(self, terms: Sequence[Term], routings: Sequence[str]) -> list[Reply]:
        asked = {"_index": self._index, **_frequencies_body(terms)}
        body = {"docs": [{**asked, "routing": routing} for routing in routings]}
        if not routings:
            return []
        reply = self._cluster.ask("POST", "/_mtermvectors", body, filter_path=_OF_MANY)
        found: list[Reply] = reply.get("docs", [])
        return found

    def _from_one(self, terms: Sequence[Term], preferred: str, routing: str) -> Reply:
        wanted = {"routing": routing, "preference": preferred}
        params: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        path = f"/{self._index}/_termvectors"
        body = _frequencies_body(terms)
        return self._cluster.ask("POST", path, body, filter_path=_COUNTED, **params)

    def _found(self, preferred: str) -> tuple[list[str], str]:
        """For each part that holds documents a routing that leads there, and why there is none for
        some; one look at a time, for all who ask.
        """
        if not self._lock.acquire(timeout=left_s()):
            what = "others look for the parts of the index"
            raise BusyError(what, where=self._cluster.where, mend="try again")
        try:
            if not self._parts:
                path = f"/{self._index}/_search_shards"
                self._parts = len(self._cluster.ask("GET", path)["shards"])
            missing = [number for number in range(self._parts) if number not in self._routings]
            why = self._look_for(missing, preferred) if missing else ""
            return list(self._routings.values()), why
        finally:
            self._lock.release()

    def _look_for(self, missing: Sequence[int], preferred: str) -> str:
        """One search in each part: what it finds there was led there by its id. Why one did not
        answer; a part without documents has none, and counts nothing.
        """
        nodes = f"|{preferred}" if preferred else ""
        lines: list[Any] = []
        for number in missing:
            head = {"index": self._index, "preference": f"_shards:{number}{nodes}"}
            lines += [head, {"size": 1, "_source": False}]
        replies = self._cluster.ask("POST", "/_msearch", ndjson(lines), filter_path=_FOUND)
        why = ""
        for number, reply in zip(missing, replies["responses"], strict=True):
            if "error" in reply:
                if reply["status"] == _MISSING:
                    raise error_of(_MISSING, reply["error"], self._cluster.where)
                why = f"a part of the index does not answer: {reason_of(reply['error'])}"
            elif hits := reply.get("hits", {}).get("hits"):
                self._routings[number] = hits[0]["_id"]
            elif reply.get("_shards", {}).get("failed"):
                why = "a part of the index does not answer"
        return why


def _frequencies_body(terms: Sequence[Term]) -> Reply:
    texts: dict[str, list[str]] = {}
    for name, term in terms:
        texts.setdefault(name, []).append(term)
    return {
        "doc": {name: " ".join(words) for name, words in texts.items()},
        "term_statistics": True,
        **dict.fromkeys(("field_statistics", "positions", "offsets", "payloads"), False),
    }


def _added(terms: Sequence[Term], parts: Sequence[Reply]) -> dict[Term, int]:
    """The sums over the parts."""
    counts = dict.fromkeys(terms, 0)
    for name, term in terms:
        found = (part.get("term_vectors", {}).get(name, {}).get("terms", {}) for part in parts)
        counts[name, term] = sum(own.get(term, {}).get("doc_freq", 0) for own in found)
    return counts
