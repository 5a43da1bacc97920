"""Writes documents in bulk, as fast as the cluster takes them and no faster.

The size of a request is adapted so that its answer takes about `target_s`: after a faster answer
the next request is larger, after a slower one or a busy cluster it is half as large. Only documents
that the cluster did not take are sent again, and not if the cluster is away or has no space left:
that lasts too long to wait. Versions are the record's change numbers, so a late write never
replaces a newer one.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from time import monotonic, sleep
from typing import Any

import orjson

from core.errors import BusyError, StorageError, StorageFullError
from storage.opensearch.nodes.connection import (
    NO_INDEX,
    BlockedError,
    Cluster,
    error_of,
    is_of_lost_node,
    ndjson,
    reason_of,
)
from storage.opensearch.nodes.nodes import AwayError, left_s, within

log = logging.getLogger(__name__)
_LEAST_BYTES = 16_384
_PASSED_OVER = frozenset({404, 409})  # deleted already; a newer state is in the index
_TRY_AGAIN = frozenset({403, 429, 502, 503, 504})
_FINAL = (StorageFullError, BlockedError)
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """`start_bytes` is the size of the first request, `most_bytes` the largest size. What the
    cluster was too busy for is sent again after `pause_s`, then after twice as long, and so on.
    After `tries` in a row that wrote nothing, the write fails.
    """

    start_bytes: int = 1_000_000
    most_bytes: int = 16_000_000
    target_s: float = 1.0
    pause_s: float = 0.1
    tries: int = 8


@dataclass(frozen=True, slots=True)
class Operation:
    """A document to put (`document` is its JSON) or, without one, to delete, as of `version`. The
    index soon forgets a deletion, so projections hide a document instead: see `documents.py`.
    """

    id: int
    version: int
    document: bytes | None = None

    def lines(self) -> bytes:
        """Return the operation as the bulk API reads it."""
        kind = "delete" if self.document is None else "index"
        about = {"_id": str(self.id), "version": self.version, "version_type": "external_gte"}
        head = orjson.dumps({kind: about})
        return head if self.document is None else head + b"\n" + self.document


Line = tuple[Operation, bytes]


@dataclass(slots=True)
class Written:
    """The result of a write: how many documents were in the index in a newer state (`outdated`),
    and why the index refused which ids.
    """

    outdated: int = 0
    refused: dict[int, str] = field(default_factory=dict)


class BulkWriter:
    """Writes through the alias `name`. For one thread at a time."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        settings: BulkSettings,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._settings = settings
        self._pause = pause
        self.bytes = settings.start_bytes

    def write(self, operations: Iterable[Operation], within_s: float = inf) -> Written:
        """Write all operations within `within_s`. Raises BusyError if the cluster is busy for too
        long, StorageFullError, MissingError if the index is gone, and as `Cluster.ask`. What was
        written before an error stays.
        """
        done, until = Written(), monotonic() + within_s
        with within(within_s):
            for batch in self._batches((each, each.lines()) for each in operations):
                self._write_batch(batch, done, until)
        return done

    def _batches(self, lines: Iterable[Line]) -> Iterator[list[Line]]:
        batch: list[Line] = []
        size = 0
        for line in lines:
            if batch and size + len(line[1]) > self.bytes:
                yield batch
                batch, size = [], 0
            batch.append(line)
            size += len(line[1])
        if batch:
            yield batch

    def _write_batch(self, batch: list[Line], done: Written, until: float) -> None:
        """Write the batch until all of it is taken, or raise why the last tries took nothing."""
        left, tries = batch, 0
        while True:
            before = len(left)
            left, why = self._write_parts(left, done)
            if why is None:
                return
            tries = 1 if len(left) < before else tries + 1
            pause = self._pause_after(tries)
            if tries == self._settings.tries or monotonic() + pause > until:
                raise why
            self._pause(pause)

    def _write_parts(
        self, lines: list[Line], done: Written
    ) -> tuple[list[Line], StorageError | None]:
        """Return the lines that are still to be sent and why, or no lines and None."""
        parts = list(self._batches(lines))
        for place, part in enumerate(parts):
            try:
                left, why = self._send(part, done)
            except (AwayError, StorageFullError):
                raise
            except BusyError as error:
                left, why = part, error
            if why is not None:
                self.bytes = max(_LEAST_BYTES, self.bytes // 2)
                return [*left, *chain.from_iterable(parts[place + 1 :])], why
        return [], None

    def _pause_after(self, tries: int) -> float:
        """Return seconds to wait, partly random, so that several writers do not return together."""
        longest = min(_LONGEST_PAUSE_S, self._settings.pause_s * 2.0 ** (tries - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _send(self, batch: list[Line], done: Written) -> tuple[list[Line], StorageError | None]:
        """Send a batch; return the lines to send again, and why."""
        started = monotonic()
        longest_s = min(self._cluster.settings.bulk_timeout_s, left_s())
        reply = self._cluster.ask(
            "POST",
            f"/{self._name}/_bulk",
            ndjson([lines for _, lines in batch]),
            timeout_s=longest_s,
            timeout=f"{max(1, round(longest_s / 2))}s",  # the wait for a shard to have a node
            require_alias="true",  # a write must not make a lost index without its mapping
            filter_path="items.*.status,items.*.error",
        )
        left: list[Line] = []
        why: StorageError | None = None
        for sent, entry in zip(batch, reply["items"], strict=True):
            (result,) = entry.values()
            if result["status"] in _TRY_AGAIN or is_of_lost_node(result.get("error", "")):
                left.append(sent)
                why = self._reason(result)
            else:
                self._note(sent[0], result, done)
        if not left:
            self._adapt(sum(len(lines) for _, lines in batch), monotonic() - started)
        return left, why

    def _reason(self, result: Mapping[str, Any]) -> StorageError:
        """Return why an operation is to be sent again. Raises an error after which none should."""
        error = error_of(result["status"], result["error"], self._cluster.where)
        if isinstance(error, StorageError) and not isinstance(error, _FINAL):
            return error
        raise error

    def _note(self, operation: Operation, result: Mapping[str, Any], done: Written) -> None:
        error = result.get("error")
        if error and error.get("type") == NO_INDEX:
            raise error_of(404, error, self._cluster.where)
        if result["status"] == 409:
            done.outdated += 1
        elif error and result["status"] not in _PASSED_OVER:
            done.refused[operation.id] = reason_of(error)
            log.error("the index refuses document %d: %s", operation.id, reason_of(error))

    def _adapt(self, sent: int, seconds: float) -> None:
        """Adapt the size of requests. Only a large one may grow it: small ones are always fast."""
        if seconds > 2 * self._settings.target_s:
            self.bytes = max(_LEAST_BYTES, self.bytes // 2)
        elif seconds < self._settings.target_s / 2 and sent > self.bytes // 2:
            self.bytes = min(self._settings.most_bytes, self.bytes * 3 // 2)
