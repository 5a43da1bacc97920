"""The request of a job: the places of its assets, their products, and its share of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InputError

_SHARD = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count`, from 1. The hash of an asset's location decides its part, so that
    the jobs of an array need not know of each other.
    """

    number: int = 1
    count: int = 1

    def has(self, location: str) -> bool:
        """Return whether the asset belongs to this part."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(location.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1


WHOLE = Shard()


def shard_of(text: str) -> Shard:
    """Return the part that `i/n` names. Raises InputError."""
    found = _SHARD.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise InputError(
            f"{text!r} is no part of a whole", mend="write i/n, such as 3/16, i from 1"
        )
    return Shard(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Request:
    """Paths and URLs of files and folders, manifests (CSV or JSON Lines), product codes for every
    asset besides its own, and the share of it all.
    """

    paths: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    shard: Shard = WHOLE

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {
            "paths": list(self.paths),
            "manifests": list(self.manifests),
            "products": list(self.products),
            "shard": [self.shard.number, self.shard.count],
        }


def request_of(tree: Mapping[str, Any]) -> Request:
    """Return the request that `Request.as_dict` wrote."""
    number, count = tree["shard"]
    return Request(
        tuple(tree["paths"]),
        tuple(tree["manifests"]),
        tuple(tree["products"]),
        Shard(int(number), int(count)),
    )
