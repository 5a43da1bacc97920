"""A plain text or a PDF becomes the body of an item.

The uri is `urn:sha256:` and the digest of the file, as for photos. So the same file is the same
item in every place, and a changed file is another item. The headline is the title of a PDF, else
the first line. A PDF is read by its own process, inside the walls of the cage, with limits of
bytes, pages, characters, memory and time.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import DocumentError
from indexing import texts
from indexing.formats.entries import STANDARD, Entry, Tree, entry

MAX_PDF_BYTES = 64 * 1024 * 1024
LIMITS = {
    "bytes": MAX_PDF_BYTES,
    "pages": 2_000,
    "characters": texts.MAX_BODY_BYTES,
    "memory": 1024 * 1024 * 1024,
    "seconds": 60,  # processor time
}
_TOO_LONG = (-signal.SIGKILL, -signal.SIGXCPU)
_WALL_S = 300.0
_MAX_ANSWER = 8 * 1024 * 1024
_MAX_HEADLINE = 250  # characters
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ROOT = Path(__file__).resolve().parents[2]
_BOOT = (
    "import sys, json; told = json.loads(sys.argv[1]); sys.path[:0] = told.pop('path'); "
    "from indexing.formats.pdf_child import main; main(told)"
)
# No variable of ours: no key, no proxy, no home.
_ENVIRONMENT = {"LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}


def text_entry(stream: BinaryIO) -> Entry:
    """Return the item that a text in UTF-8, or in UTF-16 with its mark, is the body of."""

    def read(_: list[str]) -> Tree:
        data = stream.read(texts.MAX_BODY_BYTES + 1)
        if len(data) > texts.MAX_BODY_BYTES:
            raise DocumentError(f"text too large: over {texts.MAX_BODY_BYTES} bytes")
        return _tree(hashlib.sha256(data).hexdigest(), _decoded(data))

    return entry(1, read)


def pdf_entry(stream: BinaryIO) -> Entry:
    """Return the item that a PDF is the body of. `stream` is a file of the system at its start."""

    def read(_: list[str]) -> Tree:
        if os.fstat(stream.fileno()).st_size > MAX_PDF_BYTES:
            raise DocumentError(f"PDF not read: over {MAX_PDF_BYTES} bytes")
        digest = hashlib.sha256(stream.read()).hexdigest()
        os.lseek(stream.fileno(), 0, os.SEEK_SET)  # the child reads from where the system is
        told = _answer(stream)
        text = told["text"].strip()
        if not text:
            raise DocumentError(
                "PDF not read: no text in it", mend="recognise its text first (OCR)"
            )
        tree = _tree(digest, text, " ".join(told["title"].split()))
        return {**tree, "versionCreated": told["changed"] or None}

    return entry(1, read)


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        mend = "convert it, such as by iconv -f cp1252 -t utf-8"
        raise DocumentError("text is not in UTF-8", mend=mend) from error
    if "\0" in text:
        raise DocumentError("no text: it has zero bytes")
    return text


def _tree(digest: str, text: str, title: str = "") -> Tree:
    """Return the document for a text; without a title its first line is the headline."""
    lines = text.strip().splitlines()
    if not lines:
        raise DocumentError("no text: the file is empty")
    headline, body = " ".join(lines[0].split()), "\n".join(lines[1:])
    if title or len(headline) > _MAX_HEADLINE:
        headline, body = title or headline, text
    if len(headline) > _MAX_HEADLINE:
        headline = headline[:_MAX_HEADLINE].rpartition(" ")[0] or headline[:_MAX_HEADLINE]
        headline += " …"
    bodies = [{"role": "main", "contentType": "text/plain", "value": body.strip()}]
    return {
        "uri": f"urn:sha256:{digest}",
        "standard": STANDARD,
        "type": "text",
        "headlines": [{"role": "main", "value": headline}],
        "bodies": bodies if body.strip() else [],
    }


def _answer(stream: BinaryIO) -> dict[str, Any]:
    """Return what the child process reads in the file. Raises DocumentError."""
    told = {
        **LIMITS,
        "path": [str(_ROOT), *(str(Path(name).resolve()) for name in sys.path if name)],
    }
    child = subprocess.Popen(  # noqa: S603 - our own interpreter with our own words
        [sys.executable, "-I", "-S", "-B", "-c", _BOOT, json.dumps(told)],
        stdin=stream,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
    )
    late = threading.Timer(_WALL_S, child.kill)
    late.start()
    try:
        assert child.stdout is not None
        with child.stdout:
            said = child.stdout.read(_MAX_ANSWER + 1)
    finally:
        late.cancel()
        child.kill()
        child.wait()
    return _understood(said, child.returncode)


def _understood(said: bytes, ended: int) -> dict[str, Any]:
    """Return the child's answer, which the maker of the file may have forged."""
    try:
        told = json.loads(said) if len(said) <= _MAX_ANSWER else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        how = signal.Signals(-ended).name if ended < 0 else f"status {ended}"
        what = "it takes too long to read" if ended in _TOO_LONG else f"its reader ended: {how}"
        raise DocumentError(f"PDF not read: {what}")
    if "refused" in told:
        mend = "remove its password" if told["refused"] == "encrypted" else ""
        raise DocumentError(f"PDF not read: {str(told['refused'])[:300]}", mend=mend)
    return {name: _text(told.get(name)) for name in ("title", "changed", "text")}


def _text(value: object) -> str:
    """Return a text whose surrogates are pairs; a lone one becomes a replacement character."""
    text = value if isinstance(value, str) else ""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
