"""The facts of a recorded version, and their values for filters and facets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from core.callers import folded
from core.errors import QueryError
from core.query_fields import FACT, ID
from storage.record.source_facts import DOCUMENT_FIELDS

VALUE_FIELDS = (
    "type",
    "subject",
    "person",
    "organisation",
    "place",
    "language",
    "product",
    "rights",
    *DOCUMENT_FIELDS,
)
CODE_FIELDS = {"subject": "subject_code", "place": "place_code"}
FACT_COLUMNS = "seq, chain, language, versioncreated, facts, uri"  # of the table of items
_CODED = ("subject", "person", "organisation", "place")
# Fields that say which code goes with which name, as a code may have several names.
LINK_FIELDS = {"person": "person_link", "organisation": "organisation_link", "place": "place_link"}
_NONE: list[Any] = []  # what most fields have of most rows; nobody changes it
LINK = "\x1f"  # between code and name; reading a document removes this sign from both


@dataclass(frozen=True, slots=True)
class FactRow:
    """The facts of one recorded version."""

    seq: int
    chain: str
    language: str
    versioncreated: int
    facts: Mapping[str, object]
    uri: str

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of products that include the version, as written."""
        found = self.facts["products"]
        assert isinstance(found, list)
        return tuple(found)

    @property
    def products(self) -> frozenset[str]:
        """The same, casefolded."""
        return folded(self.codes)


def read_facts(row: Any) -> FactRow:
    """Return the facts in a row of `FACT_COLUMNS`."""
    seq, chain, language, created, facts, uri = row
    return FactRow(seq, chain, language, created, orjson.loads(facts), uri)


def chain_number(chain: str) -> int:
    """Return a number for a chain: the 8 bytes of its BLAKE2b digest."""
    digest = hashlib.blake2b(chain.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def check_facet(name: str) -> None:
    """Raise QueryError for an unknown facet."""
    if name not in VALUE_FIELDS:
        raise QueryError(f"there is no facet {name!r}", mend=f"one of {', '.join(VALUE_FIELDS)}")


def values_of(row: FactRow) -> dict[str, list[str]]:
    """Return the values of every field for filters and facets, as written."""
    return {name: read(row) for name, read in _READERS.items()}


def values_in(row: FactRow, name: str) -> list[str]:
    """Return the values of one of these fields, as written."""
    return _READERS[name](row)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else _NONE


def _urgency(row: FactRow) -> list[str]:
    urgency = row.facts["urgency"]
    return _NONE if urgency is None else [str(urgency)]


def _strings(member: str) -> Reader:
    return lambda row: _listed(row.facts.get(member))


def _part(member: str, place: int) -> Reader:
    def read(row: FactRow) -> list[str]:
        pairs = _listed(row.facts[member])
        return [pair[place] for pair in pairs] if pairs else _NONE

    return read


def _links(member: str) -> Reader:
    def read(row: FactRow) -> list[str]:
        pairs = _listed(row.facts[member])
        return [f"{code}{LINK}{name}" for name, code in pairs if name and code] if pairs else _NONE

    return read


Reader = Callable[[FactRow], list[str]]
_READERS: Mapping[str, Reader] = {
    "type": lambda row: [str(row.facts["type"])],
    "language": lambda row: [row.language],
    "product": _strings("products"),
    "rights": _strings("rights"),
    "urgency": _urgency,
    **{name: _strings(f"{name}s") for name in DOCUMENT_FIELDS},
    FACT: _strings("source"),
    ID: lambda row: [f"uri:{row.uri}", *_listed(row.facts.get("ids"))],
    **{name: _part(name, 0) for name in _CODED},
    **{field: _part(name, 1) for name, field in CODE_FIELDS.items()},
    **{field: _links(name) for name, field in LINK_FIELDS.items()},
}
