"""Sums of an index's vectors, for their means, and how the note of the index keeps them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Total = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of `count` vectors: float64 [d], for their mean. What an index no longer holds stays
    in it, and what it shows again is in it again: a mean over an archive hardly moves by what was
    replaced or hidden for a while. How many vectors there are is the index's to say.
    """

    count: int
    total: Total

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.count + other.count, self.total + other.total)


def added(first: Mapping[str, Sum], second: Mapping[str, Sum]) -> dict[str, Sum]:
    """Both, field by field."""
    names = {**first, **second}
    return {
        name: first[name] + second[name] if name in first and name in second else names[name]
        for name in names
    }


def encoded(value: Sum) -> dict[str, Any]:
    """As a note keeps it, ready for JSON."""
    data = base64.b64encode(value.total.astype("<f8").tobytes()).decode()
    return {"count": value.count, "total": data}


def decoded(body: Mapping[str, Any]) -> Sum:
    """What `encoded` has made JSON of."""
    return Sum(body["count"], np.frombuffer(base64.b64decode(body["total"]), "<f8"))
