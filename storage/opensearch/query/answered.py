"""Flags for searches of a retrieval, or shards of the index, that did not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.errors import BusyError
from storage.opensearch.nodes.connection import Reply, error_of, reason_of
from storage.opensearch.query.statistics import total


def missing(replies: Sequence[Reply], *, lexical: bool, where: str) -> list[str]:
    """Return a flag for each reply that lacks something. With `lexical` the first reply is that of
    the search for words. If no search was answered, raises the first error, or BusyError.
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


def lacking_vectors(fields: Sequence[str], replies: Sequence[Reply]) -> Mapping[str, int]:
    """Return how many items of the search each of `fields` lacks. `replies` count them, and last
    all items. Nothing is returned if a count failed.
    """
    if any("error" in reply for reply in replies):
        return {}
    return {name: total(reply) for name, reply in zip(fields, replies, strict=False)}


def _has_no_shard(reply: Reply) -> bool:
    shards = reply["_shards"]
    return bool(shards["total"]) and not shards["successful"]


def _partly(reply: Reply) -> str:
    """Return what is missing in a reply, "" if nothing is."""
    if "error" in reply:
        return f"not searched: {reason_of(reply['error'])}"
    shards = reply["_shards"]
    if shards["failed"]:
        return f"{shards['failed']} of {shards['total']} parts of the index do not answer"
    return "not searched to the end in time" if reply["timed_out"] else ""
