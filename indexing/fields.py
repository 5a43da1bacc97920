"""Single values of a document: times, versions, types, states, languages, urgencies.

Each function takes a value of the document and its member's path, and raises DocumentError with
that path if it can't understand the value. Doubts that don't reject a document are appended to
`warnings`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from core.errors import DocumentError
from core.items import ItemType, PubStatus

WITHOUT_ZONE = "time without a zone, taken as UTC"
MAX_URI = 2048
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(\.\d{1,9})?)?)?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_LANGUAGE = re.compile(r"[a-z]{1,8}(-[a-z0-9]{1,8})*")
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_TYPE_ALIASES = {
    "article": ItemType.TEXT,
    "story": ItemType.TEXT,
    "image": ItemType.PICTURE,
    "photo": ItemType.PICTURE,
    "still": ItemType.PICTURE,
    "clip": ItemType.VIDEO,
    "sound": ItemType.AUDIO,
    "illustration": ItemType.GRAPHIC,
    "infographic": ItemType.GRAPHIC,
    "package": ItemType.COMPOSITE,
}
_Kind = TypeVar("_Kind", bound=StrEnum)
_STATUS_ALIASES = {"cancelled": PubStatus.CANCELED, "killed": PubStatus.CANCELED}


def identifier(value: str, field: str) -> str:
    """Return a uri or a chain's key: not empty, without control characters, of at most 2,048
    characters; blanks around it are removed.
    """
    uri = value.strip()
    if not uri:
        raise DocumentError("identifier is empty", field=field)
    if len(uri) > MAX_URI:
        raise DocumentError(f"identifier too long: over {MAX_URI} characters", field=field)
    if _CONTROL.search(uri):
        raise DocumentError("identifier with a control character", field=field)
    return uri


def moment(value: str, field: str, warnings: list[str]) -> datetime:
    """Return an RFC 3339 date and time, aware and in UTC. A date alone is its midnight; without a
    zone it is UTC, with a warning. A leap second counts as the second before it.
    """
    match = _TIME.fullmatch(value.strip())
    if match is None:
        raise DocumentError(f"not an RFC 3339 time: {_shown(value)}", field=field)
    date, clock, seconds, fraction, zone = match.groups()
    if zone is None:
        warnings.append(WITHOUT_ZONE)
    seconds = "59" if seconds == "60" else seconds or "00"
    iso = f"{date}T{clock or '00:00'}:{seconds}{(fraction or '')[:7]}{(zone or 'Z').upper()}"
    try:
        return datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"no such date or time: {_shown(value)}", field=field) from error


def version(value: object, field: str) -> int:
    """Return a whole number >= 0, as a number or as digits in a string."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DocumentError(f"version is not a whole number >= 0: {_shown(value)}", field=field)
    return value


def version_of(versioncreated: datetime | None) -> int:
    """Return the version of a document that names none: its creation in whole unix seconds, so that
    a later edition supersedes; 0 if that is unknown or before 1970.
    """
    return 0 if versioncreated is None else max(0, int(versioncreated.timestamp()))


def item_type(value: str, field: str) -> ItemType:
    """Return the ninjs `type`, or a common synonym of it (photo, story, clip, …)."""
    name = value.strip().lower()
    if name in _TYPE_ALIASES:
        return _TYPE_ALIASES[name]
    return _one_of(ItemType, "type", name, value, field)


def status(value: str, has_embargo: bool, field: str, warnings: list[str]) -> PubStatus:
    """Return the ninjs `pubstatus`. AP's `embargoed` is usable once its embargo is over; without a
    time it is withheld, with a warning.
    """
    name = value.strip().lower().removeprefix("stat:")
    if name == "embargoed":
        if has_embargo:
            return PubStatus.USABLE
        warnings.append("embargoed without a time, taken as withheld")
        return PubStatus.WITHHELD
    if name in _STATUS_ALIASES:
        return _STATUS_ALIASES[name]
    return _one_of(PubStatus, "pubstatus", name, value, field)


def language(value: str, field: str) -> str:
    """Return a BCP 47 tag in lower case ("nb-NO" and "nb_NO" become "nb-no"); "en" if empty."""
    tag = value.strip().lower().replace("_", "-")
    if tag and not _LANGUAGE.fullmatch(tag):
        raise DocumentError(f"not a language tag: {_shown(value)}", field=field)
    return tag or "en"


def urgency(value: float, field: str) -> int:
    """Return the urgency, from 1 (most urgent) to 9."""
    if not float(value).is_integer() or not 1 <= value <= 9:
        raise DocumentError(f"urgency is not a whole number from 1 to 9: {value}", field=field)
    return int(value)


def _one_of(kinds: type[_Kind], what: str, name: str, value: str, field: str) -> _Kind:
    """Return the member `name` of `kinds`. Raises DocumentError with the `value` for another."""
    try:
        return kinds(name)
    except ValueError as error:
        raise DocumentError(
            f"unknown {what}: {_shown(value)}", field=field, mend=f"use one of {', '.join(kinds)}"
        ) from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
