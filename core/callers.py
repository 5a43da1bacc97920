"""Who asks. Every read has a caller; what a caller may not see is filtered before it is counted.
Every write has one, too: what it may not write is refused where the record looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.limits import Share

EVERY_PRODUCT = frozenset({"*"})  # as `writes`: every item, also those without a product


@dataclass(frozen=True, slots=True)
class Caller:
    """A key's owner and the product codes that the key may read; no products, no items.

    `writes` are the product codes that it may write, and none means that it may not write. A uri
    that begins with one of `reserved` belongs to another key. `may_inspect` is an operator who may
    be told why an item is hidden, and what scores are made of. `may_use_models` may put texts to
    the models.
    """

    name: str
    products: frozenset[str]
    writes: frozenset[str] = frozenset()
    reserved: tuple[str, ...] = ()
    may_inspect: bool = False
    may_use_models: bool = False
    share: Share = field(default=Share(), compare=False)  # not a part of who it is

    @property
    def may_write(self) -> bool:
        """Whether it may write anything."""
        return bool(self.writes)


NOBODY = Caller("nobody", frozenset())
OPERATOR = Caller("operator", frozenset(), EVERY_PRODUCT)
"""Who runs the machine: the command line and the workers. May write everything."""


def covers(writes: frozenset[str], products: Iterable[str]) -> bool:
    """Whether `writes` has all of an item's products, as a put needs. An item without any is for
    EVERY_PRODUCT alone.
    """
    codes = folded(products)
    return writes == EVERY_PRODUCT or (bool(codes) and codes <= folded(writes))


def reaches(writes: frozenset[str], products: Iterable[str]) -> bool:
    """Whether `writes` has one of an item's products, as a kill needs."""
    return writes == EVERY_PRODUCT or not folded(writes).isdisjoint(folded(products))


def folded(codes: Iterable[str]) -> frozenset[str]:
    """Product codes as they are compared: without regard to case, and no empty one."""
    return frozenset(code.casefold() for code in codes if code)
