"""The names and titles that people give: one line that can be shown."""

from __future__ import annotations

import re

from core.errors import InputError

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def one_line(text: str, what: str, most: int, *, empty: bool = False) -> str:
    """Return the text without white space around it. Raises InputError, which names `what` it is,
    if it has more than `most` characters, can't be shown in one line, or is empty and must not be.
    """
    stripped = text.strip()
    if (not stripped and not empty) or len(stripped) > most or CONTROL.search(stripped):
        raise InputError(
            f"the {what} is empty, too long, or has control characters",
            mend=f"use 1 to {most} characters of one line",
        )
    return stripped
