"""The metadata in a file, as texts by name: EXIF, IPTC IIM, XMP, the container's own.

Names: EXIF 2.32 as Pillow spells them; IPTC-NAA IIM 4.2, section 6, as ExifTool spells them. Only
the length of a text is checked here, not its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

_LONGEST = 16 * 2**10
_MOST_TAGS = 500
_PLACES = {0x8769: ExifTags.TAGS, 0x8825: ExifTags.GPSTAGS}
_TEXT_16 = range(0x9C9B, 0x9CA0)  # the XP tags of Windows
_USER_COMMENT = 0x9286
_CHARACTER_SET = (1, 90)
_UTF_8 = b"\x1b%G"
_IPTC = {
    3: "ObjectTypeReference",
    5: "ObjectName",
    7: "EditStatus",
    10: "Urgency",
    12: "SubjectReference",
    15: "Category",
    20: "SupplementalCategories",
    22: "FixtureIdentifier",
    25: "Keywords",
    26: "ContentLocationCode",
    27: "ContentLocationName",
    30: "ReleaseDate",
    35: "ReleaseTime",
    37: "ExpirationDate",
    38: "ExpirationTime",
    40: "SpecialInstructions",
    55: "DateCreated",
    60: "TimeCreated",
    62: "DigitalCreationDate",
    63: "DigitalCreationTime",
    80: "By-line",
    85: "By-lineTitle",
    90: "City",
    92: "Sub-location",
    95: "Province-State",
    100: "Country-PrimaryLocationCode",
    101: "Country-PrimaryLocationName",
    103: "OriginalTransmissionReference",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    118: "Contact",
    120: "Caption-Abstract",
    122: "Writer-Editor",
    135: "LanguageIdentifier",
}


def picture_tags(image: Image.Image, notes: list[str]) -> dict[str, Any]:
    """Return `exif`, `iptc` and `xmp` of an open image; `notes` get what is damaged."""
    found: dict[str, Any] = {}
    for name, read in (("iptc", _iptc), ("xmp", _xmp), ("exif", _exif)):
        try:
            if value := read(image):
                found[name] = value
        except Exception as error:  # noqa: BLE001 - Pillow raises all sorts over damaged metadata
            notes.append(f"{name} could not be read: {type(error).__name__}"[:200])
    return found


def container_tags(container: Mapping[str, str], streams: Iterable[Mapping[str, str]]) -> Any:
    """Return `container` (the file's own metadata, then its streams') and `xmp` if there is one."""
    found: dict[str, Any] = {}
    own = {str(name): str(text) for name, text in container.items()}
    if packet := own.pop("xmp", ""):
        found["xmp"] = packet
    for tags in streams:
        for name, text in tags.items():
            own.setdefault(str(name), str(text))
    if own:
        found["container"] = _short(own)
    return found


def packed(tags: Mapping[str, Any], most: int, notes: list[str]) -> bytes:
    """Return the tags as JSON of at most `most` bytes; `notes` get what is left out."""
    kept: dict[str, Any] = {}
    for name, value in tags.items():
        data = json.dumps({**kept, name: value}).encode()
        if len(data) <= most:
            kept[name] = value
        else:
            notes.append(f"{name} left out: more than {most} bytes of metadata")
    return json.dumps(kept).encode()


def _exif(image: Image.Image) -> dict[str, str]:
    exif = image.getexif()
    found = _named(exif, ExifTags.TAGS)
    for place, names in _PLACES.items():
        for name, text in _named(exif.get_ifd(place), names).items():
            found.setdefault(name, text)
    return _short(found)


def _named(tags: Mapping[int, Any], names: Mapping[int, str]) -> dict[str, str]:
    texts = ((names.get(tag, ""), _exif_text(tag, value)) for tag, value in tags.items())
    return {name: text for name, text in texts if name and text}


def _exif_text(tag: int, value: object) -> str:
    if isinstance(value, bytes):
        if tag in _TEXT_16:
            return value.decode("utf-16-le", "replace").rstrip("\0")
        if tag == _USER_COMMENT:
            code, value = value[:8], value[8:]
            return value.decode("utf-16" if code.startswith(b"UNICODE") else "utf-8", "replace")
        return _text(value) if value.isascii() else ""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    # Pillow decodes the bytes of an ASCII tag as Latin-1; writers put UTF-8 there.
    return _text(value.encode("latin-1", "replace")) if isinstance(value, str) else _number(value)


def _number(value: object) -> str:
    return str(value) if not isinstance(value, dict) else ""


def _iptc(image: Image.Image) -> dict[str, str | list[str]]:
    records = None
    if isinstance(image, ImageFile.ImageFile):
        records = IptcImagePlugin.getiptcinfo(image)
    if records is None:
        return {}
    is_utf_8 = records.get(_CHARACTER_SET) == _UTF_8
    found: dict[str, str | list[str]] = {}
    for (record, number), value in records.items():
        name = _IPTC.get(number) if record == 2 else None
        if name is None:
            continue
        texts = [_text(part, sure=is_utf_8)[:_LONGEST] for part in _parts(value)]
        found[name] = texts if len(texts) > 1 else texts[0]
    return found


def _parts(value: bytes | list[bytes]) -> list[bytes]:
    return value[:_MOST_TAGS] if isinstance(value, list) else [value]


def _xmp(image: Image.Image) -> str:
    if image.format == "PNG":
        image.load()  # some programs write the packet after the pixels
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return packet if isinstance(packet, str) else _text(packet, sure=True)


def _text(data: bytes, *, sure: bool = False) -> str:
    """Return the data as UTF-8 if possible, else as Windows' Latin-1, which old desks wrote."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8" if sure else "cp1252", "replace")
    return text.strip("\0 \r\n\t")


def _short(texts: Mapping[str, str]) -> dict[str, str]:
    return {name[:100]: text[:_LONGEST] for name, text in list(texts.items())[:_MOST_TAGS]}
