"""The log of use in the JSON of the UBI schema, version 1.3 (https://www.ubisearch.dev).

    FOLDER/ubi_queries.jsonl    a query in each line
    FOLDER/ubi_events.jsonl     an event in each line

Each line is a document of the index of that name, so any tool that reads UBI's indexes reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from core.customers.use import Event, LoggedQuery
from core.errors import StorageError

QUERIES, EVENTS = "ubi_queries.jsonl", "ubi_events.jsonl"
APPLICATION = "dateline"


def write_ubi(folder: Path, queries: Iterable[LoggedQuery]) -> str:
    """Write both files; return how many queries and events. Raises StorageError."""
    asked = acted = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / QUERIES).open("wb") as first, (folder / EVENTS).open("wb") as second:
            for query in queries:
                first.write(orjson.dumps(query_tree(query)) + b"\n")
                second.writelines(orjson.dumps(event_tree(query, e)) + b"\n" for e in query.events)
                asked += 1
                acted += len(query.events)
    except OSError as error:
        raise StorageError(f"can't be written: {error}", where=str(folder)) from error
    return f"{asked:,} queries and {acted:,} events"


def query_tree(query: LoggedQuery) -> dict[str, Any]:
    """Return a query as UBI has it. Without its words, `user_query` is empty and the attribute
    `query_hash` stands for them.
    """
    attributes: dict[str, Any] = {
        "query_hash": query.query,
        "profile": query.profile,
        "total": query.total,
        "milliseconds": query.milliseconds,
    }
    if query.experiment:
        attributes |= {"experiment": query.experiment, "arm": query.arm, "teams": query.teams}
    return {
        "application": APPLICATION,
        "query_id": query.id,
        "client_id": query.caller,
        "timestamp": _time(query.at),
        "user_query": query.words,
        "object_id_field": "uri",
        "query_response_id": query.id,
        "query_response_hit_ids": [uri for uri in query.hits if uri],
        "query_attributes": attributes,
    }


def event_tree(query: LoggedQuery, event: Event) -> dict[str, Any]:
    """Return an event as UBI has it."""
    found = {"object_id": event.uri, "object_id_field": "uri"}
    return {
        "application": APPLICATION,
        "action_name": event.action.value,
        "query_id": query.id,
        "client_id": query.caller,
        "timestamp": _time(event.at),
        "user_query": query.words,
        "event_attributes": {"object": found, "position": {"ordinal": event.place}},
    }


def _time(moment: Any) -> str:
    return str(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
