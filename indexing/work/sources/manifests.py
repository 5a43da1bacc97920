"""Manifests: one media file a line, with its metadata, in CSV or JSON Lines.

`location` is required: a path, relative to the manifest, or a store's URL. In CSV the other columns
are `uri`, `version`, `headline`, `caption`, `credit`, `byline`, `rights`, `language`, `located`,
`versioncreated` and `products` (codes, separated by blanks or semicolons); a column of another name
is that member of ninjs. In JSON Lines the other members are those of ninjs, and the same short
names work.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from core.errors import InputError
from core.media import is_url
from core.work import FoundAsset
from indexing.sources import Rejected
from indexing.work.sources.listing import Found, Store, ending, stamp_of

MAX_MANIFEST_BYTES = 2 * 2**30
MAX_LINE = 2**20  # characters
_MEMBERS = {
    "caption": "description_caption",
    "credit": "creditline",
    "rights": "usageterms",
}
_LINES = (".jsonl", ".ndjson")


def rows(path: str, products: Sequence[str], store: Store) -> Iterator[Found]:
    """Yield the assets that a manifest names, in order. Raises InputError if it can't be read."""
    read = _json_rows if ending(path) in _LINES else _csv_rows
    for number, row in read(_text(path, store), path):
        if isinstance(row, str):
            yield Rejected(path, number, "", row)
            continue
        try:
            yield _asset(row, path, products)
        except (InputError, OSError, ValueError) as error:
            what = error.what if isinstance(error, InputError) else str(error)
            yield Rejected(path, number, "location", what)


def _text(path: str, store: Store) -> io.TextIOBase:
    """Return the manifest as text that is read line by line."""
    if not is_url(path):
        try:
            return Path(path).open(encoding="utf-8-sig", errors="replace", newline="")
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror}", where=path) from error
    try:
        data = store.read(path, MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise InputError(f"can't be read: {error}", where=path) from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError(f"a manifest has at most {MAX_MANIFEST_BYTES:,} bytes", where=path)
    return io.StringIO(data.decode("utf-8-sig", "replace"), newline="")


def _csv_rows(stream: io.TextIOBase, path: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    with stream:
        reader = csv.DictReader(_short_lines(stream))
        if "location" not in (reader.fieldnames or ()):
            raise InputError(
                "has no column `location`", where=path, mend="name one in its first line"
            )
        try:
            for row in reader:
                extra = row.pop(None, None)
                if extra is not None:
                    yield reader.line_num, "more values than columns"
                else:
                    yield reader.line_num, {name: v for name, v in row.items() if v}
        except csv.Error as error:
            yield reader.line_num, f"malformed CSV: {error}"


def _json_rows(stream: io.TextIOBase, path: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    with stream:
        for number, line in enumerate(_short_lines(stream), start=1):
            if not line.strip():
                continue
            try:
                tree = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield number, f"malformed JSON: {error}"
                continue
            yield number, tree if isinstance(tree, dict) else "a line is one JSON object"


def _short_lines(stream: io.TextIOBase) -> Iterator[str]:
    """Yield lines of bounded length: a longer one is cut, and fails when it is parsed."""
    while line := stream.readline(MAX_LINE):
        yield line


def _asset(row: Mapping[str, Any], manifest: str, products: Sequence[str]) -> FoundAsset:
    location = row.get("location")
    if not isinstance(location, str) or not location.strip():
        raise InputError("the location is missing")
    place = _place(location.strip(), manifest)
    own = _codes(row.get("products"))
    tree = {_MEMBERS.get(k, k): v for k, v in row.items() if k not in ("location", "products")}
    if is_url(place):
        stamp, size = str(row.get("etag", "")), 0
    else:
        stamp, size = stamp_of(Path(place)), Path(place).stat().st_size
    return FoundAsset(place, stamp, size, tree or None, tuple(dict.fromkeys((*own, *products))))


def _place(location: str, manifest: str) -> str:
    if is_url(location):
        return location
    if not is_url(manifest):
        return os.path.normpath(os.path.join(os.path.dirname(manifest), location))  # noqa: PTH118, PTH120
    if PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
        raise InputError("a manifest in a store can't name a file of this machine")
    return f"{manifest.rpartition('/')[0]}/{location}"


def _codes(value: Any) -> tuple[str, ...]:
    """Return product codes: a list of texts, or one text with several."""
    if isinstance(value, list):
        return tuple(str(code) for code in value)
    return tuple(str(value or "").replace(";", " ").split())
