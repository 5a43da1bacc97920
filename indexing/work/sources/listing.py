"""Lists media files in folders and stores, each with the sidecars beside it.

Documents, XMP packets and shot lists beside a media file describe it
(`indexing.media.metadata.sidecars`). If one can't be read, its file is rejected: the sidecar may
say who must not see it. Paths are made absolute, because a worker may run elsewhere; URLs
(s3://bucket/folder) stay as they are.
The ending of its name says whether a file is media.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from core.errors import InputError
from core.media import is_url
from core.work import FoundAsset
from indexing.media.metadata.sidecars import MAX_SIDECAR_BYTES, sidecar_names, sidecar_of
from indexing.sources import LEADS_OUT, Rejected, is_inside

PICTURES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jp2 .jpeg .jpg .png .tif .tiff .webp".split()  # noqa: SIM905
)
VIDEOS = frozenset(
    ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .webm .wmv".split()  # noqa: SIM905
)
SOUNDS = frozenset(".aac .aiff .flac .m4a .mp3 .oga .ogg .opus .wav .wma".split())  # noqa: SIM905
MEDIA = PICTURES | VIDEOS | SOUNDS


def ending(name: str) -> str:
    """Return the ending of a name from its last dot, in lower case; of a URL without its query."""
    return PurePosixPath(name.split("?")[0]).suffix.lower()


def is_media(name: str) -> bool:
    """Return whether a file of this name is read as media."""
    return ending(name) in MEDIA and not PurePosixPath(name).name.startswith(".")


def is_picture(name: str) -> bool:
    """Return whether a file of this name is first tried as a picture."""
    return ending(name) in PICTURES


def is_sound(name: str) -> bool:
    """Return whether a file of this name has sound alone."""
    return ending(name) in SOUNDS


_SIDECARS = (".json", ".xmp", ".csv", ".txt", ".srt", ".vtt")

Found = FoundAsset | Rejected


class Store(Protocol):
    """A store of files by URL."""

    def walk(self, url: str) -> Iterator[tuple[str, str, int]]:
        """Yield address, stamp and size of every file at or below `url`, in the order of addresses.
        Raises InputError if there is none.
        """
        ...

    def read(self, url: str, most: int) -> bytes:
        """Return the first `most` bytes of a file. Raises OSError."""
        ...


def absolute(path: str) -> str:
    """Return a path that means the same in every working directory."""
    return path if is_url(path) else os.path.abspath(path)  # noqa: PTH100 - links stay as they are


def stamp_of(path: Path) -> str:
    """Return a text that changes with a local file: its size, time of change and number."""
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"


def look_at(path: Path, products: Sequence[str] = ()) -> Found:
    """Return one local file with its sidecar. Raises OSError if it is gone."""
    stat = path.stat()
    tree, notes = sidecar_of(path.name, lambda name: _beside(path, name))
    if notes:  # the unreadable part may restrict rights
        return Rejected(str(path), 0, "", "; ".join(notes))
    return FoundAsset(str(path), stamp_of(path), stat.st_size, tree, tuple(products))


def look_in_store(
    address: str, products: Sequence[str], store: Store, *, stamp: str = "", size: int = 0
) -> Found:
    """Return one file in a store with its sidecars, which are read by name; nothing is listed.
    Without a stamp, its bytes are read again.
    """

    def read(beside: str) -> bytes | None:
        try:
            return store.read(beside, MAX_SIDECAR_BYTES + 1)
        except (FileNotFoundError, IsADirectoryError):
            return None

    return _with_sidecar(FoundAsset(address, stamp, size, None, tuple(products)), read)


def seen_at(path: Path, products: Sequence[str] = ()) -> Found:
    """Return `look_at` of a file; an unreadable file is rejected, and the others go on."""
    try:
        str(path).encode()
        return look_at(path, products)
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "replace")
        return Rejected(shown, 0, "", "its name is not in UTF-8; rename it")
    except OSError as error:
        return Rejected(str(path), 0, "", f"can't be read: {error.strerror or error}")


def speaks_of_media(path: Path) -> bool:
    """Return whether a file is a sidecar of a media file beside it."""
    if path.suffix not in _SIDECARS:
        return False
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names only, of one folder
    except OSError:
        return False
    return any(path.name in sidecar_names(name) for name in names if is_media(name))


def in_folder(top: Path, products: Sequence[str]) -> Iterator[Found]:
    """Yield the media below a folder, in order, or one file. Raises InputError if it is missing."""
    if not top.exists():
        raise InputError("no such file or folder", where=str(top))
    if not top.is_dir():
        if is_media(top.name):
            yield seen_at(top, products)
        return
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if is_media(name) and _is_a_file(path):
                inside = is_inside(path, top)
                yield seen_at(path, products) if inside else Rejected(str(path), 0, "", LEADS_OUT)


def _is_a_file(path: Path) -> bool:
    """Return whether it is a file, or can't be checked: then reading it says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _beside(media: Path, name: str) -> bytes | None:
    """Return the bytes of the file `name` beside a media file. Raises OSError for a link out of the
    folder.
    """
    path = media.with_name(name)
    if not is_inside(path, media.parent):
        raise OSError(None, LEADS_OUT, str(path))
    return _bytes_of(path)


def _bytes_of(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_SIDECAR_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        return None


def in_store(top: str, products: Sequence[str], store: Store) -> Iterator[Found]:
    """Yield the media at or below a URL, in order. Files of one folder are handled together,
    because a sidecar may come before or after. Raises InputError if there is none.
    """
    folder: dict[str, tuple[str, int]] = {}
    at = None
    for address, stamp, size in store.walk(top):
        parent, _, name = address.rpartition("/")
        if is_media(address) and name == top.rpartition("/")[2]:  # a file: its folder is not listed
            yield look_in_store(address, products, store, stamp=stamp, size=size)
            continue
        if parent != at:
            yield from _of_folder(folder, products, store)
            folder, at = {}, parent
        if is_media(address) or address.endswith(_SIDECARS):
            folder[address] = (stamp, size)
    yield from _of_folder(folder, products, store)


def _of_folder(
    files: Mapping[str, tuple[str, int]], products: Sequence[str], store: Store
) -> Iterator[Found]:
    def read(beside: str) -> bytes | None:
        return store.read(beside, MAX_SIDECAR_BYTES + 1) if beside in files else None

    for address, (stamp, size) in files.items():
        if is_media(address):
            yield _with_sidecar(FoundAsset(address, stamp, size, None, tuple(products)), read)


def _with_sidecar(found: FoundAsset, read: Callable[[str], bytes | None]) -> Found:
    """Return a file in a store with its sidecars; `read` returns the bytes of an address."""
    parent, _, name = found.location.rpartition("/")
    try:
        tree, notes = sidecar_of(name, lambda beside: read(f"{parent}/{beside}"))
    except OSError as error:
        tree, notes = None, (f"a file beside it can't be read: {error}",)
    if notes:  # the unreadable part may restrict rights
        return Rejected(found.location, 0, "", "; ".join(notes))
    return replace(found, sidecar=tree)
