"""The caller: who reads and writes. Every read has a caller, and filters out what the caller may
not see before anything is counted. Every write has a caller too, and the record refuses what the
caller may not write.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from core.limits import Share

EVERY_PRODUCT = frozenset({"*"})  # as `writes`: every item, also those without a product


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a key, and the product codes that the key may read. Without products it reads
    nothing.

    `writes` are the product codes that the caller may write; an empty set means no writes. A uri
    that begins with one of `reserved` belongs to another key. `may_inspect` marks an operator, who
    may be told why an item is hidden and how scores are made. `may_use_models` allows requests to
    the models, `may_administer` changes of accounts. `customer` is the account of the key, "" for a
    key of the settings file, which is an account of its own.
    """

    name: str
    products: frozenset[str]
    writes: frozenset[str] = frozenset()
    reserved: tuple[str, ...] = ()
    may_inspect: bool = False
    may_use_models: bool = False
    may_administer: bool = False
    share: Share = field(default=Share(), compare=False)  # no part of who it is
    customer: str = ""

    @property
    def account(self) -> str:
        """The name of the account that receives what the caller is shown."""
        return self.customer or self.name

    @property
    def may_write(self) -> bool:
        """Whether the caller may write anything."""
        return bool(self.writes)


asking: ContextVar[str] = ContextVar("dateline_caller", default="")
"""The name of the caller whose request is answered in this context, "" for none."""

NOBODY = Caller("nobody", frozenset())
OPERATOR = Caller("operator", frozenset(), EVERY_PRODUCT)
"""Who runs the machine: the command line and the workers. May write everything."""


def covers(writes: frozenset[str], products: Iterable[str]) -> bool:
    """Return whether `writes` has all of an item's products, as a put needs. An item without
    products needs EVERY_PRODUCT.
    """
    codes = folded(products)
    return writes == EVERY_PRODUCT or (bool(codes) and codes <= folded(writes))


def reaches(writes: frozenset[str], products: Iterable[str]) -> bool:
    """Return whether `writes` has one of an item's products, as a kill needs."""
    return writes == EVERY_PRODUCT or not folded(writes).isdisjoint(folded(products))


def folded(codes: Iterable[str]) -> frozenset[str]:
    """Return product codes in the form for comparison: casefolded, without empty ones."""
    return frozenset(code.casefold() for code in codes if code)
