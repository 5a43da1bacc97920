"""What nobody describes: neither people nor a machine say what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from core.items import Item


@dataclass(frozen=True, slots=True)
class Undescribed:
    """Of the `media` visible pictures, videos, sounds and graphics, `count` have no description
    from anywhere; `items` are the first of them, as far as they were asked for.
    """

    media: int
    count: int
    items: tuple[Item, ...]
