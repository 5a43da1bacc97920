"""What some of a retrieval's searches, or some parts of the index, did not answer, as flags."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import BusyError
from storage.opensearch.nodes.connection import Reply, error_of, reason_of
from storage.opensearch.query.statistics import total


def missing(replies: Sequence[Reply], *, lexical: bool, where: str) -> list[str]:
    """What the replies lack, the first of which is that of the words if it is `lexical`. Raises the
    first one's error, or BusyError, where none of them answers.
    """
    failed = [reply for reply in replies if "error" in reply or _has_no_shard(reply)]
    if replies and len(failed) == len(replies):
        first = failed[0]
        if "error" in first:
            error = error_of(first.get("status", 500), first["error"], where)
            raise error
        raise BusyError("no part of the index answers", where=where, mend="try again")
    flags = []
    for place, reply in enumerate(replies):
        if what := _partly(reply):
            flags.append(f"{'lexical' if place == 0 and lexical else 'vectors'}: {what}")
    return flags


def lacking_vectors(fields: Sequence[str], replies: Sequence[Reply]) -> list[str]:
    """What is to be said of vector fields that do not cover what the search is over: a count of
    what each lacks, and then of all.
    """
    if not fields or any("error" in reply for reply in replies):
        return []
    every, flags = total(replies[-1]), []
    for name, reply in zip(fields, replies, strict=False):
        if lacking := total(reply):
            what = f"vectors: field {name} lacks {lacking:,} of {every:,} items"
            flags.append(f"{what}; `dateline embed` adds them")
    return flags


def _has_no_shard(reply: Reply) -> bool:
    shards = reply["_shards"]
    return bool(shards["total"]) and not shards["successful"]


def _partly(reply: Reply) -> str:
    """What is missing in an answer; "" where nothing is."""
    if "error" in reply:
        return f"not searched: {reason_of(reply['error'])}"
    shards = reply["_shards"]
    if shards["failed"]:
        return f"{shards['failed']} of {shards['total']} parts of the index do not answer"
    return "not searched to the end in time" if reply["timed_out"] else ""
