"""Reads one PDF inside the walls of the cage; only pdf.py starts it.

It loads its library and reads a small PDF of its own first, because nothing can be loaded later. It
gets the file as its standard input, and writes one JSON object.
"""

from __future__ import annotations

import codecs
import io
import json
import resource
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pypdf

from indexing.media.cage.walls import build_walls, leave_the_network

_CODECS = (
    "ascii big5 charmap cp1252 cp949 euc_jp euc_kr gb18030 gb2312 gbk johab latin-1 mac_roman"
    " raw_unicode_escape shift_jis unicode_escape utf-16 utf-16-be utf-16-le utf-8"
)
_SMALL = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1"
    b"/BaseFont/Helvetica>>>>>>/MediaBox[0 0 99 99]/Contents 4 0 R>>endobj\n"
    b"4 0 obj<</Length 32>>stream\nBT /F1 12 Tf 9 9 Td (Warm) Tj ET\nendstream endobj\n"
    b"5 0 obj<</Title(Warm)/ModDate(D:20260101000000Z)>>endobj\n"
    b"trailer<</Root 1 0 R/Info 5 0 R>>\nstartxref\n0\n%%EOF\n"
)


class _RefusedError(Exception):
    """Why the file is not read."""


def main(told: Mapping[str, int]) -> None:
    """Read standard input, write the answer, and end."""
    left = leave_the_network()
    for name in _CODECS.split():
        codecs.lookup(name)
    _read(_SMALL, told)
    resource.setrlimit(resource.RLIMIT_CPU, (told["seconds"], told["seconds"]))
    build_walls(told["memory"], left, network=False)
    try:
        data = sys.stdin.buffer.read(told["bytes"] + 1)
        if len(data) > told["bytes"]:
            raise _RefusedError(f"over {told['bytes']} bytes")
        answer = _read(data, told)
    except _RefusedError as refusal:
        answer = {"refused": str(refusal)}
    except (MemoryError, RecursionError):
        answer = {"refused": "it takes too much memory to read"}
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a damaged file
        answer = {"refused": f"damaged: {type(error).__name__}: {error}"[:300]}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def _read(data: bytes, told: Mapping[str, int]) -> dict[str, Any]:
    """Return the title, the time of the last change, and the text."""
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        raise _RefusedError("encrypted")
    if len(reader.pages) > told["pages"]:
        raise _RefusedError(f"over {told['pages']} pages")
    pages: list[str] = []
    size = 0
    for page in reader.pages:
        pages.append(page.extract_text())
        size += len(pages[-1])
        if size > told["characters"]:
            raise _RefusedError(f"over {told['characters']} characters of text")
    return {"title": _title(reader), "changed": _changed(reader), "text": "\n\n".join(pages)}


def _title(reader: pypdf.PdfReader) -> str:
    try:
        title = reader.metadata.title if reader.metadata else None
    except Exception:  # noqa: BLE001 - a damaged title costs only itself
        return ""
    return title if isinstance(title, str) else ""


def _changed(reader: pypdf.PdfReader) -> str:
    try:
        said = reader.metadata
        moment = said and (said.modification_date or said.creation_date)
    except Exception:  # noqa: BLE001 - a damaged date costs only itself
        return ""
    return moment.isoformat() if isinstance(moment, datetime) else ""
