"""Which files are media, by the endings of their names."""

from __future__ import annotations

from pathlib import PurePosixPath

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
