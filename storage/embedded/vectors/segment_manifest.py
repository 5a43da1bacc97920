"""The manifest of a vector field: its valid segments, and the sha256 of each of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from core.errors import CorruptError
from storage.embedded.vectors.vector_view import Segment

MANIFEST = "manifest.json"
ROWS = "rows.npy"


def entry_of(segment: Segment) -> dict[str, Any]:
    """Return a segment's entry in the manifest."""
    graph, *beside = (file for file in segment.digests if file != ROWS)
    return {
        "name": segment.name,
        "rows": len(segment.seqs),
        "kind": segment.kind,
        "graph": segment.digests[graph],
        "ids": segment.digests[ROWS],
        "beside": {file: segment.digests[file] for file in beside},
    }


def digests_of(entry: dict[str, Any], files: Sequence[str]) -> dict[str, str]:
    """Return the sha256 by file, of `files` and the rows; "" if the manifest has none."""
    graph, *rest = files
    beside = {file: str(dict(entry.get("beside", {})).get(file, "")) for file in rest}
    return {graph: str(entry["graph"]), **beside, ROWS: str(entry["ids"])}


def read_manifest(path: Path, data: bytes, encoder: str) -> list[dict[str, Any]]:
    """Return the manifest's segments; none if it is of another encoder."""
    if not data:
        return []
    try:
        manifest = orjson.loads(data)
        entries: list[dict[str, Any]] = list(manifest["segments"])
        same = manifest["encoder"] == encoder
        names = [(entry["name"], entry["graph"], entry["ids"]) for entry in entries]
        _ = [dict(entry.get("beside", {})) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise corrupt(path, f"unreadable: {error}") from error
    if any("/" in str(name) or str(name).startswith(".") for name, _, _ in names):
        raise corrupt(path, "a segment's name is not a name")
    return entries if same else []


def corrupt(path: Path, what: str) -> CorruptError:
    """Return the error for a file that is not as it was written."""
    return CorruptError(what, where=str(path), mend="`dateline rebuild` makes it anew")
