"""One document of a BEIR corpus (`_id`, `title`, `text`, `metadata`) becomes one `Item`.

https://github.com/beir-cellar/beir. Its uri is `urn:beir:FOLDER:ID` and its version 0: a corpus
has no editions. Metadata as in Reuters-21578 (Lewis, 1997) are understood: `date` (taken as UTC;
the collection does not say), `dateline`, `topics`, `places`, `people`, `orgs`, `exchanges`; so is
`category`. A document without a date gets 1970-01-01T00:00:00Z: with the time of ingest, a second
ingest of the same corpus would change it. `Item.source` keeps all metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError

from core.errors import DocumentError
from core.items import Concept, Item, ItemType
from indexing import fields, json_tree, texts
from indexing.boundary import Strict
from indexing.ninjs import MAX_DOCUMENT_BYTES, Checked, clean
from storage.words.told_languages import told_language

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN = frozenset({"_id", "title", "text", "metadata"})
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(r"\s*(\d{1,2})-([A-Z]{3})-(\d{4})(?:\s+(\S+))?", re.ASCII)
_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?!\d)", re.ASCII)
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*\.?"
_DATELINE_END = re.compile(
    rf"[\s,-]*\b(?:{_MONTH} \d|\d{{1,2}} {_MONTH}(?!\w)).*$|[\s-]+$", re.IGNORECASE | re.DOTALL
)
_CONCEPTS = {
    "subject": ("topics", "category"),
    "person": ("people",),
    "organisation": ("orgs", "exchanges"),
    "place": ("places",),
}


class BeirDocument(Strict):
    """A line of corpus.jsonl."""

    id: str = Field(validation_alias="_id", min_length=1)
    title: str = ""
    text: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)


def read_bytes(
    data: bytes, folder: str, products: Sequence[str] = (), limit: int = MAX_DOCUMENT_BYTES
) -> Checked:
    """Return the item in a line of the corpus in `folder`. Raises DocumentError."""
    if len(data) > limit:
        raise DocumentError(f"document too large: over {limit} bytes")
    tree = json_tree.parse(data)
    try:
        document = BeirDocument.model_validate({k: v for k, v in tree.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = json_tree.path(first["loc"])
        missing = first["type"] == "missing"
        reason = f"{field} is missing" if missing else f"wrong type: {first['msg']}"
        raise DocumentError(reason, field=field) from error
    warnings: list[str] = []
    item = _item(document, folder, products, tree, warnings)
    return Checked(item, tuple(warnings), tuple(name for name in tree if name not in _KNOWN))


def _item(
    document: BeirDocument,
    folder: str,
    products: Sequence[str],
    source: Mapping[str, Any],
    warnings: list[str],
) -> Item:
    metadata = document.metadata
    uri = fields.identifier(f"urn:beir:{folder}:{document.id}", "_id")
    created = _created(metadata.get("date"), warnings)
    headline = " ".join(clean(document.title, warnings).split())
    body = clean(document.text, warnings).strip()
    language = str(metadata.get("language") or told_language(headline, body))
    item = Item(
        uri=uri,
        version=0,
        type=ItemType.TEXT,
        versioncreated=created,
        firstcreated=created,
        chain=uri,
        headline=texts.check_size(headline, "title"),
        body=texts.check_body(body, "text"),
        language=fields.language(language, "metadata.language"),
        located=_located(metadata.get("dateline"), warnings),
        products=tuple(dict.fromkeys(products)),
        source=source,
        subject=_concepts(metadata, "subject"),
        person=_concepts(metadata, "person"),
        organisation=_concepts(metadata, "organisation"),
        place=_concepts(metadata, "place"),
    )
    return texts.check_words(item)


def _located(dateline: object, warnings: list[str]) -> str:
    """Return the place in "RICHMOND, Va., March 5 -", "" if there is none."""
    text = clean(dateline, warnings) if isinstance(dateline, str) else ""
    return _DATELINE_END.sub("", text, count=1).strip()


def _created(value: object, warnings: list[str]) -> datetime:
    """Return the time of "26-FEB-1987 15:02:20.00" or of an RFC 3339 time. `UNDATED` without a
    value and, with a warning, for an unreadable one. An impossible clock is midnight, with a
    warning.
    """
    if value is None:
        return UNDATED
    match = _DATE.match(value) if isinstance(value, str) else None
    try:
        if match is None:
            return fields.moment(str(value), "metadata.date", warnings)
        day = datetime(int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]), tzinfo=UTC)
    except (DocumentError, ValueError):
        warnings.append("date not understood, taken as 1970-01-01")
        return UNDATED
    return _with_clock(day, match[4], warnings)


def _with_clock(day: datetime, clock: str | None, warnings: list[str]) -> datetime:
    if clock is None:
        return day
    match = _CLOCK.match(clock)
    try:
        if match is None:
            raise ValueError(clock)
        micros = int((match[4] or "0").ljust(6, "0"))
        return day.replace(
            hour=int(match[1]), minute=int(match[2]), second=int(match[3]), microsecond=micros
        )
    except ValueError:
        warnings.append("time of day not understood, taken as midnight")
        return day


def _concepts(metadata: Mapping[str, Any], member: str) -> tuple[Concept, ...]:
    """Return the texts under the metadata names of a member, each once, in order."""
    found: dict[Concept, None] = {}
    for name in _CONCEPTS[member]:
        values = metadata.get(name)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and value.strip():
                found[Concept(texts.clean(value)[0].strip(), "")] = None
    return tuple(found)
