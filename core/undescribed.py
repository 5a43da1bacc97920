"""Media without a description by people or by a machine."""

from __future__ import annotations

from dataclasses import dataclass

from core.items import Item


@dataclass(frozen=True, slots=True)
class Undescribed:
    """`count` of the `media` visible pictures, videos, sounds and graphics have no description.
    `items` are the first of them, up to the limit of the request.
    """

    media: int
    count: int
    items: tuple[Item, ...]
