"""Reads a captioning model's answer: untrusted text, parsed strictly.

A caption is data. It is shown and indexed as text, so instructions in it have no effect. Characters
that could do harm where it is kept or shown are removed here: control characters, marks that change
the direction of writing, halves of surrogate pairs, line breaks, and length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from core.media import Caption
from indexing.captions.prompt import MOST_CONTEXT

MOST_ANSWER = 64 * 1024  # characters that are read
MOST_REPAIRED = 8 * 1024
_MOST_BRACKETS = 32  # in an answer to repair; ours has eight, and repair is slow with thousands
MOST_CAPTION = 600
MOST_NAME = 100
MOST_NAMES = 20
_JOINERS = "\u200c\u200d"  # they shape letters in Persian and in scripts of India


def clean_line(text: str, most: int) -> str:
    """Return `text` as one line of printable characters, at most `most` of them, cut after a
    word.
    """
    spaced = _spaced(unicodedata.normalize("NFC", text[: most * 8]))
    kept = "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:-") + "…"


def _spaced(text: str) -> str:
    """Return the text with a plain space for every kind of blank."""
    return "".join(" " if c.isspace() or unicodedata.category(c)[0] == "Z" else c for c in text)


def _clean_names(value: object) -> object:
    """Return a list's texts, cleaned, without empty and repeated ones; other values unchanged."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return value
    names = dict.fromkeys(clean_line(name, MOST_NAME) for name in value[: MOST_NAMES * 4])
    return tuple(name for name in names if name)[:MOST_NAMES]


def _clean_caption(value: object) -> object:
    return clean_line(value, MOST_CAPTION) if isinstance(value, str) else value


class _Answer(BaseModel):
    """The object of `prompt.SCHEMA`; a missing list is empty."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    caption: Annotated[str, BeforeValidator(_clean_caption)]
    persons: Annotated[tuple[str, ...], BeforeValidator(_clean_names)] = ()
    places: Annotated[tuple[str, ...], BeforeValidator(_clean_names)] = ()
    keywords: Annotated[tuple[str, ...], BeforeValidator(_clean_names)] = ()


def caption_of(content: str, *, context: str, made_by: str) -> Caption | None:
    """Return the caption in a model's answer, or None if it has no usable one.

    The answer is read as strict JSON of the schema; if that fails, it is repaired once. Persons are
    kept only if the agency's `context` names them.
    """
    if len(content) > MOST_ANSWER:
        return None
    answer = _strict(content) or _repaired(content)
    if answer is None or not answer.caption:
        return None
    persons = _named(answer.persons, _folded(context))
    return Caption(answer.caption, made_by, persons, answer.places, answer.keywords)


def _strict(content: str) -> _Answer | None:
    try:
        return _Answer.model_validate_json(content)
    except ValidationError:
        return None


def _repaired(content: str) -> _Answer | None:
    """Return the answer after one repair of fences, single quotes and a missing end."""
    if len(content) > MOST_REPAIRED or sum(map(content.count, "{[")) > _MOST_BRACKETS:
        return None
    from json_repair import loads

    try:
        found = loads(content, skip_json_loads=True)
        return _Answer.model_validate(found)
    except (ValidationError, ValueError, RecursionError):
        return None


def _named(names: Sequence[str], context: str) -> tuple[str, ...]:
    """Return the `names` that are in the folded `context` as whole words."""
    return tuple(
        name for name in names if re.search(rf"(?<!\w){re.escape(_folded(name))}(?!\w)", context)
    )


def _folded(text: str) -> str:
    return clean_line(text, MOST_CONTEXT).casefold()
