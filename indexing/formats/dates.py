"""Dates as other formats write them, as ninjs writes them."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

_BASIC = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d)?)?\s?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


def from_basic(value: str | None) -> str | None:
    """Return ISO 8601's basic form (`20260315T101500+0100`) as RFC 3339, and any other text
    unchanged.
    """
    match = _BASIC.fullmatch(value.strip()) if value else None
    if match is None:
        return value
    year, month, day, hour, minute, second, zone = match.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    zone = (zone or "").upper()
    if len(zone) == len("+0100"):
        zone = f"{zone[:3]}:{zone[3:]}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{zone}"


def from_mail(value: str | None) -> str | None:
    """Return a date as in mail (`Sun, 15 Mar 2026 10:15:00 +0100`) as RFC 3339; another text as it
    is. A date without a zone is UTC.
    """
    try:
        moment = parsedate_to_datetime(value) if value else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return value
    if moment is None:
        return value
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        return value
