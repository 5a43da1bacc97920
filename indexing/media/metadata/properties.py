"""A media file's own metadata, as members of ninjs.

Three standards put the same properties into a picture, and software fills only some of them.
Property by property, XMP is asked first, then IPTC IIM, then EXIF; a video's container last. XMP
comes first because it alone is complete: IIM cuts texts short, and EXIF's texts are often the
camera's. IPTC Photo Metadata Standard 2023.1 (its mapping of XMP, IIM and Exif), IPTC IIM 4.2, Exif
3.0, Guidelines for Handling Image Metadata 2.0 (Metadata Working Group, 2010).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.errors import MediaError
from core.media import MediaFacts
from indexing.media.metadata.names import (
    ALT_TEXTS,
    CONTAINER,
    DATES,
    EXIF,
    IIM,
    RAW_RIGHTS,
    TEXTS,
    XMP,
)
from indexing.media.metadata.things import add_things
from indexing.media.metadata.xmp import Properties, Value, read_xmp

_DAY = r"(?P<y>\d{4})[-:]?(?P<m>\d\d)[-:]?(?P<d>\d\d)"
_CLOCK = r"(?P<H>\d\d):?(?P<M>\d\d)(?::?(?P<S>\d\d))?(?P<F>\.\d{1,9})?"
_ZONE = r"(?P<Z>Z|[+-]\d\d:?\d\d)?"
_DATE = re.compile(rf"{_DAY}(?:[T ]{_CLOCK}\s*{_ZONE})?", re.ASCII)
_TIME = re.compile(rf"{_CLOCK}\s*{_ZONE}", re.ASCII)
# The start of QuickTime's and Unix' clocks: no picture is from that second.
_UNSET = ("1904-01-01T00:00:00", "1970-01-01T00:00:00", "0000:00:00", "    :  :")


def moment_of(texts: Mapping[str, tuple[str, ...]], role: str, notes: list[str]) -> str:
    """Return the date and time of a role as RFC 3339, "" without one.

    XMP and Matroska have ISO 8601, EXIF `2024:03:05 07:30:00` with the zone in a tag of its own,
    IIM `20240305` with `073000+0100` beside it. An impossible date is noted and left out. An unset
    clock counts as no date: a camera then says 0000:00:00, and a container the start of its time.
    """
    (text, *_) = texts.get(role, ("",))
    if not text:
        return ""
    found = _DATE.fullmatch(text)
    if text.startswith(_UNSET):
        return ""
    moment = "" if found is None else _written(found, texts, role)
    if not moment:
        notes.append(f"date not understood: {text[:40]!r}")
    return moment


def _written(found: re.Match[str], texts: Mapping[str, tuple[str, ...]], role: str) -> str:
    parts = found.groupdict()
    if parts["H"] is None:
        beside = _TIME.fullmatch(texts.get(f"{role}_time", ("",))[0])
        parts |= beside.groupdict() if beside else {}
    zone = parts["Z"] or texts.get(f"{role}_offset", ("",))[0] or ""
    zone = zone if re.fullmatch(r"Z|[+-]\d\d:?\d\d", zone, re.ASCII) else ""
    clock = f"T{parts['H']}:{parts['M']}:{parts['S'] or '00'}{parts['F'] or ''}{zone}"
    moment = f"{parts['y']}-{parts['m']}-{parts['d']}{clock if parts['H'] else ''}"
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return ""
    return moment


ALT_MEMBER = "alt_texts"  # of a tree, until its texts are placed in a document
MAX_TEXT = 20_000  # characters of one property; a caption has some hundreds
MAX_VALUES = 200  # of one property
# Texts of cameras and scanners in fields for people: they describe nothing.
_FILLERS = frozenset({
    "olympus digital camera", "sony dsc", "kodak digital still camera", "minolta digital camera",
    "konica minolta digital camera", "digital camera", "default", "untitled", "screenshot",
    "exif_jpeg_picture", "created with gimp", "created with the gimp", "samsung", "<none>", "test",
})  # fmt: skip

Texts = Mapping[str, tuple[str, ...]]


def embedded_tree(facts: MediaFacts) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the ninjs members from the file's own metadata, and notes on unreadable parts.

    `headline`, `title`, `description_caption`, `byline`, `creditline`, `copyrightnotice`,
    `usageterms`, `ednote`, `located`, `place`, `person`, `organisation`, `subject`, `keywords`,
    `firstcreated`, `language`, `urgency` and `digitalsourcetype`, as far as the file has them;
    `embedded_rights` has the statements about rights as they are written, `alt_texts` the texts for
    people who can't see the picture (`with_alt_texts` in `sidecars.py` places them).
    """
    notes: list[str] = []
    properties = _xmp(facts.tags.get("xmp"), notes)
    return tree_of(properties, facts.tags, notes), tuple(notes)


def tree_of_packet(packet: str) -> dict[str, Any]:
    """Return the ninjs members of an XMP packet by itself, such as a sidecar. Raises MediaError."""
    return tree_of(read_xmp(packet), {}, [])


def tree_of(properties: Properties, tags: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the members from XMP `properties` and from the `tags` of the other standards."""
    sources = (
        _by_role(properties, XMP),
        _by_role(_tags(tags.get("iptc")), IIM),
        _by_role(_tags(tags.get("exif")), EXIF),
        _by_role(_tags(tags.get("container")), CONTAINER),
    )
    tree: dict[str, Any] = {}
    for role, member in TEXTS.items():
        if text := next((found for each in sources if (found := _joined(each, role))), ""):
            tree[member] = text
    add_things(tree, sources, properties)
    for role, member in DATES.items():
        if moment := next((m for each in sources if (m := moment_of(each, role, notes))), ""):
            tree[member] = moment
    if told := [text for key in ALT_TEXTS if (text := ", ".join(_texts(properties, key)))]:
        tree[ALT_MEMBER] = told
    rights = {
        name: list(texts) for name, key in RAW_RIGHTS.items() if (texts := _texts(properties, key))
    }
    if rights:
        tree["embedded_rights"] = rights
    return tree


def _xmp(packet: object, notes: list[str]) -> Properties:
    if not isinstance(packet, str) or not packet.strip():
        return {}
    try:
        return read_xmp(packet)
    except MediaError as error:
        notes.append(error.what)
        return {}


def _tags(tags: object) -> dict[str, tuple[Value, ...]]:
    """Return tags by their names in lower-case letters and digits; each is a text or a list of
    texts.
    """
    if not isinstance(tags, Mapping):
        return {}
    found: dict[str, tuple[Value, ...]] = {}
    for name, value in tags.items():
        key = "".join(sign for sign in str(name).casefold() if sign.isalnum() or sign in ":.")
        values = value if isinstance(value, (list, tuple)) else (value,)
        found[key] = tuple(str(v) for v in values if isinstance(v, (str, int, float)))
    return found


def _by_role(properties: Properties, names: Mapping[str, Sequence[str]]) -> Texts:
    """Return the texts of each role, from the first of its names that has some."""
    found: dict[str, tuple[str, ...]] = {}
    for role, keys in names.items():
        each = (_texts(properties, key) for key in keys)
        if texts := next((texts for texts in each if texts), ()):
            found[role] = texts
    return found


def _texts(properties: Properties, key: str) -> tuple[str, ...]:
    return tuple(_kept(properties.get(key, ())))[:MAX_VALUES]


def _kept(values: Sequence[Value]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            text = value.replace("\0", "").strip()[:MAX_TEXT]
            if text and text.casefold() not in _FILLERS:
                yield text


def _joined(texts: Texts, role: str) -> str:
    return ", ".join(dict.fromkeys(texts.get(role, ())))
