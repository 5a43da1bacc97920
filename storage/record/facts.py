"""The facts of a recorded version, and the values that filters and facets see in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from core.callers import folded
from core.errors import QueryError

VALUE_FIELDS = (
    "type",
    "subject",
    "person",
    "organisation",
    "place",
    "language",
    "product",
    "rights",
)
CODE_FIELDS = {"subject": "subject_code", "place": "place_code"}
_CODED = ("subject", "person", "organisation", "place")
# Which code goes with which name, where a code may have several names (storage/words/names.py).
LINK_FIELDS = {"person": "person_link", "organisation": "organisation_link", "place": "place_link"}
LINK = "\x1f"  # between the two, which the reading of documents leaves in neither


@dataclass(frozen=True, slots=True)
class FactRow:
    """The facts of one version, as they go into the columns."""

    seq: int
    chain: str
    language: str
    versioncreated: int
    facts: Mapping[str, object]

    @property
    def products(self) -> frozenset[str]:
        """The product codes that may see the version, as they are compared."""
        found = self.facts["products"]
        assert isinstance(found, list)
        return folded(found)


def chain_number(chain: str) -> int:
    """A number for a chain's name: the first 8 bytes of its BLAKE2b digest."""
    digest = hashlib.blake2b(chain.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def check_facet(name: str) -> None:
    """Raises QueryError for a facet of values that there is not."""
    if name not in VALUE_FIELDS:
        raise QueryError(f"there is no facet {name!r}", mend=f"one of {', '.join(VALUE_FIELDS)}")


def values_of(row: FactRow) -> dict[str, list[str]]:
    """The values of every field of values, as they are written."""
    facts = row.facts
    urgency = facts["urgency"]
    values = {
        "type": [str(facts["type"])],
        "language": [row.language],
        "product": [str(code) for code in _listed(facts["products"])],
        "rights": [str(word) for word in _listed(facts.get("rights"))],
        "urgency": [] if urgency is None else [str(urgency)],
    }
    for name in _CODED:
        pairs = _listed(facts[name])
        values[name] = [pair[0] for pair in pairs]
        if name in CODE_FIELDS:
            values[CODE_FIELDS[name]] = [pair[1] for pair in pairs]
        if name in LINK_FIELDS:
            values[LINK_FIELDS[name]] = [
                f"{pair[1]}{LINK}{pair[0]}" for pair in pairs if pair[0] and pair[1]
            ]
    return values


def _listed(value: object) -> list[list[str]]:
    return value if isinstance(value, list) else []
