"""The names of fields in a query."""

from __future__ import annotations

from core.query_tree import DATE_FIELDS, KEYWORD_FIELDS, TEXT_FIELDS

ALIASES = {
    "date": "versioncreated",
    "title": "headline",
    "caption": "description",
    "text": "body",
    "name": "names",
    "topic": "subject",
    "org": "organisation",
    "lang": "language",
    "people": "person",
    "products": "product",
}
FIELD_NAMES = (*TEXT_FIELDS, *KEYWORD_FIELDS, *DATE_FIELDS, *ALIASES)


def field_called(name: str) -> str:
    """The field that `name` or its alias stands for, in any case; "" for an unknown name."""
    known = ALIASES.get(name.casefold(), name.casefold())
    return known if known in FIELD_NAMES else ""
