"""Reads request bodies: a limit that holds while the body streams, content types, nesting.

Bodies come from strangers. They are counted while they arrive, parsed by a parser with bounded
recursion, and walked without recursion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from api.problems import BodyTimeoutError, BodyTooLargeError, MediaTypeError, ParameterError
from core.errors import DocumentError
from indexing.formats import xml_documents, xml_tree
from indexing.formats.entries import Entry

MAX_DEPTH = 64
JSON = "application/json"
XML = xml_documents.CONTENT_TYPES
JSON_LINES = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not a document: its 1-based number, and the reason."""

    line: int
    reason: str


def media_type(request: Request, *, lines: bool) -> str:
    """Return the body's content type; raises MediaTypeError for one that is not read here."""
    also = ", application/x-ndjson, or NewsML-G2, NITF, RSS or Atom as application/xml."
    wanted = f"Send {JSON} in UTF-8" + (also if lines else ".")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MediaTypeError("Compressed bodies are not read.", mend="Send it uncompressed.")
    kind, _, options = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = options.lower().partition("charset=")[2].strip().strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise MediaTypeError(f"The charset '{charset[:40]}' is not read.", mend=wanted)
    if kind == JSON or kind.endswith("+json") or (lines and kind in JSON_LINES | XML):
        return kind
    said = f"The content type '{kind[:80]}' is not read." if kind else "There is no content type."
    raise MediaTypeError(said, mend=wanted)


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Return the whole body, at most `limit` bytes and `seconds` long; no more than that is ever in
    memory.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _counted(request, limit)
    except TimeoutError as error:
        raise BodyTimeoutError(
            f"The body did not arrive within {seconds:g} seconds.", mend="Send it in smaller parts."
        ) from error


async def _counted(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        body += chunk
    return bytes(body)


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"The body is over the limit of {limit / 1024 / 1024:g} MiB.",
        mend="Send less at once.",
    )


def parse_json(data: bytes) -> Any:
    """Return the JSON value; raises DocumentError for malformed text and for nesting over 64
    deep.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DocumentError(
            f"This is not JSON: {error.msg}",
            where=f"line {error.lineno}, column {error.colno}",
            mend="Check it with a JSON validator; it must be UTF-8.",
        ) from error
    if deeper_than(value, MAX_DEPTH):
        raise DocumentError(
            f"The JSON is nested more than {MAX_DEPTH} deep.",
            mend="Flatten it; ninjs needs about 6.",
        )
    return value


def deeper_than(value: Any, limit: int) -> bool:
    """Return whether lists and objects nest deeper than `limit`; walks level by level."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def parse_object(data: bytes) -> dict[str, Any]:
    """Return one JSON object; raises DocumentError or ParameterError."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise ParameterError("The body must be one JSON object.", mend='Such as {"name": "value"}.')
    return value


def parse_documents(data: bytes, kind: str) -> tuple[bool, list[Any]]:
    """Return whether the body is a single document, and the documents: objects, or `Unreadable`
    lines.

    JSON that is neither an object nor an array raises DocumentError, as does XML that is malformed
    or of no known format. In JSON lines and in XML, a bad document does not stop the others.
    """
    if kind in XML:
        return False, [_entry(entry) for entry in _xml_documents(data)]
    if kind in JSON_LINES:
        lines = enumerate(data.split(b"\n"), start=1)
        return False, [_line(number, line) for number, line in lines if line.strip()]
    value = parse_json(data)
    if isinstance(value, dict):
        return True, [value]
    if isinstance(value, list):
        return False, value
    raise DocumentError("A document is a JSON object, or an array of them.")


def _xml_documents(data: bytes) -> Iterable[Entry]:
    tree = xml_tree.parse(data)
    found = xml_documents.documents(tree)
    if found is None:
        raise DocumentError(
            f"XML of root {xml_tree.name_of(tree.root)[:40]} is not understood.",
            mend="Send NewsML-G2, NITF, RSS 2.0 or Atom.",
        )
    return found


def _entry(entry: Entry) -> Any:
    """Return the ninjs that the document becomes, or why it becomes none."""
    if entry.error is None:
        return entry.tree
    error = entry.error
    place = f"{error.field}: " if error.field else ""
    return Unreadable(entry.line, f"{place}{error.what} {error.mend}".strip())


def _line(number: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except DocumentError as error:
        return Unreadable(number, f"{error.what} {error.mend}")
