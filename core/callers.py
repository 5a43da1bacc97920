"""Who asks. Every read has a caller; what a caller may not see is filtered before it is counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A key's owner and the product codes that the key may read; no products, no items.

    `may_write` is the agency's own ingest key. `may_inspect` is an operator who may be told why an
    item is hidden, and what scores are made of. `may_use_models` may put texts to the models.
    """

    name: str
    products: frozenset[str]
    may_write: bool = False
    may_inspect: bool = False
    may_use_models: bool = False


NOBODY = Caller("nobody", frozenset())
