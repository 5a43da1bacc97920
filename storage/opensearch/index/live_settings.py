"""Compares an index with its settings, and changes in place what can be changed.

OpenSearch can change some settings of an index in use. The others, the analyzers and the fields are
fixed when the index is made; to change them takes another index. A setting that Dateline did not
ask for is a difference too, for example a block that a full disk left, or an interval that someone
tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.opensearch.index.body import (
    IndexSettings,
    VectorSpace,
    format_of,
    index_body,
    spaces_of,
)
from storage.opensearch.nodes.connection import Cluster

# OpenSearch's "dynamic index settings", those of use here: names, and beginnings of names.
_IN_PLACE = (
    "index.auto_expand_replicas",
    "index.blocks.",
    "index.gc_deletes",
    "index.indexing.slowlog.",
    "index.knn.advanced.",
    "index.knn.algo_param.",
    "index.max_",
    "index.merge.",
    "index.number_of_replicas",
    "index.priority",
    "index.refresh_interval",
    "index.requests.",
    "index.routing.allocation.",
    "index.routing.rebalance.",
    "index.search.",
    "index.translog.",
    "index.unassigned.",
    "index.warmer.",
)
_OF_THE_CLUSTER = (  # notes of the cluster about an index
    "index.creation_date",
    "index.hidden",
    "index.history.",
    "index.provided_name",
    "index.replication.",
    "index.resize.",
    "index.routing.allocation.initial_recovery.",
    "index.uuid",
    "index.verified_before_close",
    "index.version.",
)
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_SPAN = re.compile(r"(\d+)(ms|s|m|h)")
_NUMBER = re.compile(r"-?\d+\.\d+")
ABSENT = "(none)"
_NOTHING: Mapping[str, VectorSpace] = {}
_SECOND_COPY = ".vector.doc_values"  # a second copy that older indexes have; nothing reads it


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting or member of the mapping that differs: its `name`, the `wanted` value, the `live`
    value in `index` (ABSENT for none), and whether it can be changed in place.
    """

    index: str
    name: str
    wanted: str
    live: str
    in_place: bool


def differences(
    cluster: Cluster,
    name: str,
    settings: IndexSettings,
    spaces: Mapping[str, VectorSpace],
    beside: Mapping[str, VectorSpace] = _NOTHING,
) -> list[Difference]:
    """Return how the index behind the alias `name` and the index of its notes differ from
    `settings`. Two things do not count as a difference: a second copy of the vectors, which only
    costs disk, and a field with its space in `beside` instead of the one in `spaces`. Raises
    MissingError if there is no index.
    """
    ((concrete, live),) = cluster.ask("GET", f"/{name}").items()
    held = spaces_of(live["mappings"]) if format_of(live["mappings"]) else {}
    moved = {field: space for field, space in beside.items() if held.get(field) == space}
    wanted = index_body(settings, {**spaces, **moved})
    found = _compared(concrete, _flat({"index": wanted["settings"]["index"]}), _settings_of(live))
    mapped = _flat({"mapping": wanted["mappings"]}), _flat({"mapping": live["mappings"]})
    found += [
        Difference(concrete, key, mapped[0].get(key, ABSENT), mapped[1].get(key, ABSENT), False)
        for key in sorted({*mapped[0], *mapped[1]})
        if mapped[0].get(key) != mapped[1].get(key)
        and not (key.endswith(_SECOND_COPY) and mapped[0].get(key) == "false")
    ]
    ((meta, notes),) = cluster.ask("GET", f"/{name}-meta").items()
    replicas = {"index.number_of_replicas": str(settings.replicas)}
    kept = {key: value for key, value in _settings_of(notes).items() if key in replicas}
    return found + _compared(meta, replicas, kept)


def change_in_place(cluster: Cluster, found: Iterable[Difference]) -> list[Difference]:
    """Change what can be changed in place; return what takes another index. Raises StorageError if
    the cluster refuses a value.
    """
    left: list[Difference] = []
    by_index: dict[str, dict[str, str | None]] = {}
    for each in found:
        if each.in_place:
            value = None if each.wanted == ABSENT else each.wanted
            by_index.setdefault(each.index, {})[each.name] = value
        else:
            left.append(each)
    for index, values in by_index.items():
        cluster.ask("PUT", f"/{index}/_settings", values, timeout_s=60)
    return left


def _compared(index: str, wanted: Mapping[str, str], live: Mapping[str, str]) -> list[Difference]:
    names = sorted({*wanted, *live})
    return [
        Difference(index, name, wanted.get(name, ABSENT), live.get(name, ABSENT), _in_place(name))
        for name in names
        if wanted.get(name) != live.get(name)
    ]


def _settings_of(live: Mapping[str, Any]) -> dict[str, str]:
    flat = _flat(live["settings"])
    return {name: value for name, value in flat.items() if not name.startswith(_OF_THE_CLUSTER)}


def _in_place(name: str) -> bool:
    return name.startswith(_IN_PLACE)


def _flat(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return every leaf by its dotted path, with values in one notation."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": leaf for name, leaf in _flat(value).items()}
        else:
            found[key] = _notation(value)
    return found


def _notation(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_notation(each) for each in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if match := _SPAN.fullmatch(text):
        return f"{int(match[1]) * _UNITS_MS[match[2]]}ms"
    return str(float(text)) if _NUMBER.fullmatch(text) else text
