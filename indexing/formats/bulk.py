"""Documents of Elasticsearch and OpenSearch, as JSON Lines.

Two shapes are known: a bulk body, where a line names the action and the next one is the document,
and a dump, where each line has `_id` and `_source`. The action's `_id`, `_index` and `_routing` are
values of the document. `index` and `create` are read. `delete` and `update` are rejected: a
deletion there is no kill here, and a part of a document is not a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import DocumentError
from indexing import json_tree, records
from indexing.formats.entries import Row

_ACTION = re.compile(rb'\s*\{\s*"(index|create|update|delete)"\s*:\s*\{')
_NAMES = ("index", "create", "update", "delete")
_META = ("_id", "_index", "_routing")
_DUMP = b'"_source"'


def rows(found: Iterator[records.Record]) -> Iterator[records.Record | Row]:
    """Yield each document of a bulk body or a dump as a row, and every other record unchanged."""
    for record in found:
        action = _action(record)
        if action is None:
            yield _of_dump(record) or record
            continue
        name, meta = action
        if name == "delete":
            what = f"not understood: a delete of {_shown(meta)}"
            mend = "kill the item: dateline set-status URI canceled"
            yield Row(record.line, error=DocumentError(what, mend=mend))
            continue
        document = next(found, None)
        if document is None:
            yield Row(record.line, error=DocumentError(f"no document follows: {name}"))
        elif name == "update":
            what = f"not understood: an update of {_shown(meta)}"
            mend = "send whole documents, with the action index"
            yield Row(document.line, error=DocumentError(what, mend=mend))
        else:
            yield _document(document, meta)


def row_of(record: records.Record) -> Row:
    """Return the row for a JSON document."""
    return _document(record, {})


def _action(record: records.Record) -> tuple[str, Mapping[str, Any]] | None:
    """Return the action that a line names, and its members; None for a document."""
    if not _ACTION.match(record.data):
        return None
    try:
        tree = json_tree.parse(record.data)
    except DocumentError:
        return None
    name = next(iter(tree))
    is_action = len(tree) == 1 and name in _NAMES and isinstance(tree[name], dict)
    return (name, tree[name]) if is_action else None


def _of_dump(record: records.Record) -> Row | None:
    if _DUMP not in record.data:
        return None
    try:
        tree = json_tree.parse(record.data)
    except DocumentError:
        return None
    source = tree.get("_source")
    if "_id" not in tree or not isinstance(source, dict):
        return None
    return Row(record.line, {**source, **_meta(tree)}, len(record.data))


def _document(record: records.Record, meta: Mapping[str, Any]) -> Row:
    if record.problem:
        return Row(record.line, error=DocumentError(record.problem))
    try:
        values = {**json_tree.parse(record.data), **_meta(meta)}
    except DocumentError as error:
        return Row(record.line, error=error)
    return Row(record.line, values, len(record.data))


def _meta(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: members[name] for name in _META if isinstance(members.get(name), (str, int))}


def _shown(meta: Mapping[str, Any]) -> str:
    return repr(meta.get("_id"))[:80]
