"""Checks files before native code maps them: a flipped bit must not crash the process.

tantivy ends each segment file with a footer: JSON with the CRC-32 of all before it, the JSON's
length and the number 1337, both little-endian 32 bit (tantivy, directory/footer.rs). Its meta.json
has no checksum, so we keep its sha256 beside the folder. If that is out of date (after a merge or a
crash), a child process opens the index first, so that only the child can crash.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any

import orjson

from core.errors import CorruptError

META = "meta.json"
_MAGIC = 1337
_BLOCK = 1 << 20
_SUFFIXES = {"fast", "fieldnorm", "idx", "pos", "store", "term"}
_PROBE = """
import sys, tantivy
index = tantivy.Index.open(sys.argv[1])
searcher = index.searcher()
every = tantivy.Query.all_query()
hits = searcher.search(every, max(1, searcher.num_docs), order_by_field="seq").hits
for _, address in hits[:: max(1, len(hits) // 100)]:
    searcher.doc(address)
typed = tantivy.Query.regex_query(index.schema, "is_type", ".+")
counts = {len(hits), searcher.search(typed, 1).count, searcher.num_docs}
if len(counts) > 1:  # every document has a type
    sys.exit(f"meta.json, postings and deletions count differently: {sorted(counts)}")
"""


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` as a whole or not at all; it is on the disk when this returns. Several threads
    and processes may do so at the same time: the last one counts.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.new")
    with fresh.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sealed(path: Path) -> str:
    """Make a file that other code wrote durable; return its sha256."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    return sha256_of(path)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_path(folder: Path) -> None:
    """Make the names of `folder` and of all folders above it durable. Folders that this user may
    not read existed before.
    """
    for each in (folder, *folder.absolute().parents):
        with suppress(PermissionError):
            sync_folder(each)


def seal_lexical(folder: Path) -> None:
    """Write down the checksum of tantivy's current meta.json."""
    digest = sha256_of(folder / META)
    seal = _seal_path(folder)
    if not seal.exists() or seal.read_bytes() != digest.encode():
        write_durably(seal, digest.encode())


def verify_lexical(folder: Path) -> None:
    """Raise CorruptError unless every file of the index in `folder` is as it was written."""
    meta = _read_meta(folder)
    for segment in meta["segments"]:
        for name in _files_of(segment):
            _verify_footer(folder / name)
    seal = _seal_path(folder)
    if not seal.exists() or seal.read_bytes() != sha256_of(folder / META).encode():
        _probe(folder)


def sweep_lexical(folder: Path) -> None:
    """Remove what a writer that died left: files of segments that meta.json does not name. tantivy
    would refuse to write files of the same names. Only the owner may call this.
    """
    named = {name for segment in _read_meta(folder)["segments"] for name in _files_of(segment)}
    for path in folder.iterdir():
        if path.suffix[1:] in (*_SUFFIXES, "del") and path.name not in named:
            path.unlink(missing_ok=True)


def _files_of(segment: dict[str, Any]) -> list[str]:
    name = str(segment["segment_id"]).replace("-", "")
    files = [f"{name}.{suffix}" for suffix in sorted(_SUFFIXES)]
    if segment["deletes"]:
        files.append(f"{name}.{segment['deletes']['opstamp']}.del")
    return files


def _seal_path(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.sha256"


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = orjson.loads((folder / META).read_bytes())
        for segment in meta["segments"]:
            segment["max_doc"], _files_of(segment)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _corrupt(folder / META, f"unreadable: {error}") from error
    return meta


def _verify_footer(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 8))
            length, magic = struct.unpack("<II", stream.read(8))
            if magic != _MAGIC or length > size - 8:
                raise _corrupt(path, "no footer: the file is cut short")
            stream.seek(size - 8 - length)
            expected = orjson.loads(stream.read(length))["crc"]
            stream.seek(0)
            crc, left = 0, size - 8 - length
            while left:
                block = stream.read(min(left, _BLOCK))
                crc, left = zlib.crc32(block, crc), left - len(block)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise _corrupt(path, f"unreadable: {error}") from error
    if crc != expected:
        raise _corrupt(path, "its CRC-32 does not match")


def _probe(folder: Path) -> None:
    """Open the index in a child process (S603: the command is this interpreter and a constant)."""
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", "-c", _PROBE, str(folder)],
            capture_output=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _corrupt(folder, "a trial opening did not end") from error
    if done.returncode != 0:
        raise _corrupt(folder, f"a trial opening failed with {done.returncode}")


def _corrupt(path: Path, what: str) -> CorruptError:
    return CorruptError(what, where=str(path), mend="`dateline rebuild` makes it anew")
