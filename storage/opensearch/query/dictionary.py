"""Counts the documents that have a term, from the dictionaries of an index, one for each shard.

That costs very little, and counts documents that are deleted but not merged away, as BM25 does. It
runs beside a search and must not delay it: it may take a part of a search's time, and then leaves
out the shards that have not answered and says so. It does not ask nodes that are known to hang.
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
    """The dictionaries of `index`, which has one or `several` shards. `preferred` returns the nodes
    that answer as a search's preference ("" if all do); `look` finds that out. Thread-safe.
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
        self._routings: dict[int, str] = {}  # by shard, the id of a document in it
        self._lock = threading.Lock()

    def __call__(self, terms: Sequence[Term]) -> Counts:
        """Return how many documents have each term. Shards that do not answer within half of a
        request's time are not counted, and `lacking` says so. Raises MissingError if the index does
        not exist.
        """
        try:
            with within(self._longest_s):
                return self._asked_twice(terms)
        except MissingError:
            raise
        except StorageError as error:
            return Counts(lacking=error.what)

    def _asked_twice(self, terms: Sequence[Term]) -> Counts:
        """Return the counts. If a node hangs, half of the time is left to ask other nodes."""
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
        else:  # a request to many shards at once can't choose the nodes
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
        """Return a routing for each shard with documents, and "" or why some shards have none. One
        thread looks at a time.
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
        """Search each missing shard for a document, whose id is a routing to the shard. Return ""
        or why a shard did not answer. A shard without documents gets no routing and counts nothing.
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
    """Return the sums over the shards."""
    counts = dict.fromkeys(terms, 0)
    for name, term in terms:
        found = (part.get("term_vectors", {}).get(name, {}).get("terms", {}) for part in parts)
        counts[name, term] = sum(own.get(term, {}).get("doc_freq", 0) for own in found)
    return counts
