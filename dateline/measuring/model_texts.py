"""Texts to measure models on: a file of them, or the demo corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from core.errors import InputError
from dateline.default_folders import demo_folder

SHORTEST = 20  # characters of a string in JSON; a shorter one is taken for a name or a code
MOST = 512  # texts that are read


def read_texts(path: Path | None, most: int = MOST) -> tuple[str, ...]:
    """Return the first texts of a file: each line of a .txt, each longer string of a .jsonl.

    Without `path`, those of the demo corpus. Raises InputError for a file without texts.
    """
    place = path or demo_folder() / "stories.jsonl"
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the texts can't be read: {error}", where=str(place)) from error
    found: list[str] = []
    for number, line in enumerate(lines, 1):
        found += _texts(line, place, number)
        if len(found) >= most:
            break
    if not found:
        raise InputError(
            "the file has no texts", where=str(place), mend="one a line, or JSON lines"
        )
    return tuple(found[:most])


def _texts(line: str, place: Path, number: int) -> list[str]:
    if place.suffix != ".jsonl":
        return [line.strip()] if line.strip() else []
    if not line.strip():
        return []
    try:
        return list(strings(orjson.loads(line)))
    except orjson.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error}", where=f"{place}:{number}") from error


def strings(tree: object) -> Iterator[str]:
    """Yield the strings that look like text, anywhere in a JSON value."""
    match tree:
        case str():
            if len(tree) >= SHORTEST and " " in tree:
                yield tree
        case dict():
            for value in tree.values():
                yield from strings(value)
        case list():
            for value in tree:
                yield from strings(value)
        case _:
            pass
