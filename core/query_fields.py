"""The fields of the query language: one row for each name that `name:value` may have.

docs/query-language.md has this table, and a test compares the two. `storage/record/source_facts.py`
reads the values of the kinds WORDS, WHOLE and ID from an item.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FACT = "fact"  # the keyword field that holds the values of WORDS and WHOLE, as "name:value"
ID = "id"  # the keyword field that holds the values of the kind ID, as "name:value"


class FieldKind(StrEnum):
    """How a field's value is compared.

    TEXT: words of the text, which also rank. KEYWORD: the whole value. NUMBER: a whole number from
    1 to 9. DATE, SINCE and UNTIL: a time; SINCE and UNTIL take a value without a sign as a bound.
    WORDS: every word of the value must be there. WHOLE: the whole value, of facts that only the
    source document has. ID: the whole of an item's own identifier. STATUS: the state of an item.
    """

    TEXT = "text"
    KEYWORD = "keyword"
    NUMBER = "number"
    DATE = "date"
    SINCE = "since"
    UNTIL = "until"
    WORDS = "words"
    WHOLE = "whole"
    ID = "id"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class QueryField:
    """A field: its name, its other names (`also`, AP's among them), and what it compares."""

    name: str
    kind: FieldKind
    about: str
    also: tuple[str, ...] = ()


_TEXT, _KEYWORD, _DATE = FieldKind.TEXT, FieldKind.KEYWORD, FieldKind.DATE
_WORDS, _WHOLE, _ID = FieldKind.WORDS, FieldKind.WHOLE, FieldKind.ID

QUERY_FIELDS = (
    QueryField("headline", _TEXT, "the headline", ("title", "headline_extended", "headline_seo")),
    QueryField(
        "description",
        _TEXT,
        "descriptions and captions",
        ("caption", "description_summary", "description_caption"),
    ),
    QueryField("body", _TEXT, "the text", ("text", "body_nitf")),
    QueryField("names", _TEXT, "names, subjects, slugline, byline and dateline", ("name",)),
    QueryField("machine", _TEXT, "what machines say of pictures and shots"),
    QueryField("speech", _TEXT, "what is said: the agency's script, or a machine's transcript"),
    QueryField("seen", _TEXT, "text in pictures and frames, as a machine reads it"),
    QueryField("looks", _TEXT, "what a classifier sees in pictures and frames"),
    QueryField("filename", _TEXT, "the file's name, of media that nobody describes"),
    QueryField("type", _KEYWORD, "text, picture, video, audio, graphic, composite …"),
    QueryField(
        "subject",
        _KEYWORD,
        "a subject by name or code, and all topics below it",
        ("topic", "subject.name", "subject.code"),
    ),
    QueryField("person", _KEYWORD, "a person's name", ("people", "person.name")),
    QueryField(
        "organisation",
        _KEYWORD,
        "an organisation's name",
        ("org", "organization", "organisation.name", "organization.name"),
    ),
    QueryField(
        "place", _KEYWORD, "a place by name or code", ("place.name", "place.code", "location")
    ),
    QueryField("language", _KEYWORD, "the language, such as en", ("lang",)),
    QueryField(
        "product",
        _KEYWORD,
        "a product's code; AP's numbers are codes, too",
        ("products", "productid", "products.id"),
    ),
    QueryField("rights", _KEYWORD, "what may be done with it"),
    QueryField("source", _KEYWORD, "a source", ("sources", "infosource", "infosource.name")),
    QueryField("credit", _KEYWORD, "the credit line", ("creditline", "description_creditline")),
    QueryField("orientation", _KEYWORD, "landscape, portrait or square, of pictures and videos"),
    QueryField(
        "size",
        _KEYWORD,
        "small (under 1,000 pixels on the longer side), medium or large (3,000 and more)",
    ),
    QueryField("urgency", FieldKind.NUMBER, "the urgency, 1 to 9", ("newspriority",)),
    QueryField(
        "versioncreated",
        _DATE,
        "when this version was made",
        ("date", "arrivaldate", "arrivaldatetime"),
    ),
    QueryField("firstcreated", _DATE, "when the first version was made"),
    QueryField(
        "arrived", _DATE, "when the archive took in this version, or last changed its products"
    ),
    QueryField("mindate", FieldKind.SINCE, "the earliest `versioncreated`"),
    QueryField("maxdate", FieldKind.UNTIL, "the latest `versioncreated`"),
    QueryField("uri", _ID, "the item's uri"),
    QueryField("itemid", _ID, "AP's id of the item (`altids.itemid`)", ("altids.itemid",)),
    QueryField("recordid", _ID, "`altids.recordid`", ("altids.recordid",)),
    QueryField("friendlykey", _ID, "`altids.friendlykey`", ("altids.friendlykey",)),
    QueryField("transref", _ID, "`altids.transref`", ("altids.transref",)),
    QueryField("pubstatus", FieldKind.STATUS, "`usable`; others find nothing", ("status",)),
    QueryField("slugline", _WORDS, "the slugline", ("slug",)),
    QueryField("byline", _WORDS, "the byline", ("bylines", "bylines.by")),
    QueryField("photographer", _WORDS, "the photographer", ("photographer.name",)),
    QueryField("located", _WORDS, "where it was written", ("datelinelocation.city",)),
    QueryField("event", _WORDS, "an event's name", ("events", "event.name")),
    QueryField("fixture", _WORDS, "a fixture's name", ("fixture.name",)),
    QueryField("keywords", _WORDS, "the keywords", ("keyword",)),
    QueryField("audiences", _WORDS, "an audience's name", ("audience", "audiences.name")),
    QueryField("provider", _WHOLE, "the provider", ("provider.name",)),
    QueryField(
        "category",
        _WHOLE,
        "a category by code or name",
        ("categories", "category.code", "category.name"),
    ),
    QueryField("signals", _WHOLE, "a signal", ("signal",)),
    QueryField("editorialpriority", _WHOLE, "the editorial priority"),
    QueryField("editorialrole", _WHOLE, "the editorial role"),
    QueryField("editorialtypes", _WHOLE, "an editorial type", ("editorialtype",)),
    QueryField("profile", _WHOLE, "the profile of the document"),
    QueryField("genre", _WHOLE, "a genre by code or name", ("genres",)),
    QueryField("version", _WHOLE, "the number of the version"),
    QueryField("person.code", _WHOLE, "a person's code"),
    QueryField("organisation.code", _WHOLE, "an organisation's code", ("organization.code",)),
)
NAMED: dict[str, QueryField] = {
    name: field for field in QUERY_FIELDS for name in (field.name, *field.also)
}


def field_called(name: str) -> QueryField | None:
    """Return the field with this name or other name, in any case; None for an unknown name."""
    return NAMED.get(name.casefold())
