"""Whether an outside service may see an asset, by its rights.

Two statements are read, both made by people for machines:

- the PLUS property Data Mining in XMP, which is also IPTC Photo Metadata's (2023.1), and the
  W3C's TDM reservation in XMP;
- `external_processing` in the asset's document: our extension of ninjs, true or false.

Usage terms in prose are not interpreted. Every prohibition of Data Mining forbids, even those about
training only: nobody can check here what a provider does with a picture. What can't be read also
forbids, because sending can't be undone. https://ns.useplus.org/LDF/ldf-XMPSpecification,
https://www.w3.org/community/reports/tdmrep/

A still's size is checked, too, before anything leaves. Its bytes are not decoded: only the size in
the JPEG's frame header is read (ITU-T T.81, annex B).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal
from xml.etree.ElementTree import Element, ParseError

from core.items import Item, PubStatus
from core.media import ToCaption, Uncaptioned

Rule = Literal["unless_forbidden", "only_allowed"]

# For each uri, whether the record lets its item leave now; None if the record does not have it.
RightsNow = Callable[[Sequence[str]], Sequence[bool | None]]

LONGEST_PACKET = 2**20  # characters
_PLUS = "{http://ns.useplus.org/ldf/xmp/1.0/}DataMining"
_RESERVATION = "{http://www.w3.org/ns/tdmrep/}reservation"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
_SAYS_NOTHING = frozenset({"", "DMI-UNSPECIFIED"})
_ALLOWED = "DMI-ALLOWED"
_MEMBER = "external_processing"
_RECORDED = {"DataMining": _PLUS, "TDMReservation": _RESERVATION}  # namespaces in `embedded_rights`


def may_leave(
    packets: Sequence[str], documents: Sequence[Mapping[str, Any]], rule: Rule = "unless_forbidden"
) -> bool:
    """Return whether an asset with these XMP `packets` (embedded, sidecar) and `documents` may be
    sent.

    One prohibition outweighs every permission. If nothing is said, `unless_forbidden` allows it and
    `only_allowed` does not.
    """
    said = [allowed for packet in packets if packet.strip() for allowed in _of_packet(packet)]
    said += [document[_MEMBER] is True for document in documents if _MEMBER in document]
    return _are_allowed(said, rule)


def may_leave_as_recorded(item: Item, rule: Rule = "unless_forbidden") -> bool:
    """Return whether a recorded item may be sent, by its document and by `embedded_rights`, the
    statements that were in its file or beside it.

    A killed or withheld item is not sent: the reason may be in the picture, and sending can't be
    undone. An embargo does not forbid: it is a date for publishing, a provider publishes nothing,
    the caption is under the item's embargo, and must be there when that ends. To forbid it, set
    `external_processing` to false.
    """
    source = item.source
    if item.pubstatus is not PubStatus.USABLE:
        return False
    written = source.get("embedded_rights", {})
    if not isinstance(written, Mapping):
        return False
    texts = [(name, text) for name in _RECORDED for text in _texts_of(written.get(name, ()))]
    said = [allowed for name, text in texts for allowed in _of_statement(_RECORDED[name], text)]
    said += [source[_MEMBER] is True] if _MEMBER in source else []
    return _are_allowed(said, rule)


def rights_now(newest: Callable[[Sequence[str]], Sequence[Item | None]], rule: Rule) -> RightsNow:
    """Return a function that says whether items may leave, by their `newest` recorded versions."""

    def judged(uris: Sequence[str]) -> list[bool | None]:
        items = newest(uris)
        return [None if item is None else may_leave_as_recorded(item, rule) for item in items]

    return judged


def _are_allowed(said: Sequence[bool], rule: Rule) -> bool:
    """Return whether all statements allow it; without statements, whether the rule does."""
    return all(said) and (bool(said) or rule == "unless_forbidden")


def _texts_of(value: object) -> Sequence[str]:
    """Return a member's texts; a value that is not text forbids, like an unreadable one."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return [text if isinstance(text, str) else "?" for text in values]


def _of_packet(packet: str) -> Iterator[bool]:
    """Yield the statements of one packet: True allows, False forbids."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(packet) > LONGEST_PACKET:
        yield False
        return
    try:
        root = fromstring(packet.strip().strip("\0\ufeff"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        yield False
        return
    for name, value in _properties(root):
        yield from _of_statement(name, value)


def _of_statement(name: str, value: str) -> Iterator[bool]:
    """Yield the statement of one property."""
    if name == _RESERVATION:
        yield value == "0"
    elif (word := value.rstrip("/").rpartition("/")[2].upper()) not in _SAYS_NOTHING:
        yield word == _ALLOWED


def _properties(root: Element) -> Iterator[tuple[str, str]]:
    """Yield our properties with their values. RDF writes them in three ways: as an attribute, as an
    element's text, as an address in `rdf:resource`.
    """
    for element in root.iter():
        for name in (_PLUS, _RESERVATION):
            if (value := element.get(name)) is not None:
                yield name, value.strip()
            if element.tag == name:
                yield name, element.get(_RESOURCE, "".join(element.itertext())).strip()


MOST_BYTES = 4 * 2**20
RIGHTS = "rights forbid external processing"
_START = b"\xff\xd8"
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def refusal(still: ToCaption, edge: int) -> Uncaptioned | None:
    """Return why a still may not be sent, or None. `edge` is the largest allowed, in pixels."""
    if not still.may_leave:
        return Uncaptioned(RIGHTS, again=False)
    if len(still.jpeg) > MOST_BYTES:
        return Uncaptioned(f"the still has {len(still.jpeg):,} bytes", again=False)
    size = jpeg_size(still.jpeg)
    if size is None:
        return Uncaptioned("the still is no JPEG", again=False)
    if max(size) > edge:
        what = f"the still is {size[0]}x{size[1]}, not scaled to {edge}"
        return Uncaptioned(what, again=False)
    return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from a JPEG's frame header; None without one."""
    if not data.startswith(_START):
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAMES:
            height = int.from_bytes(data[place + 5 : place + 7])
            width = int.from_bytes(data[place + 7 : place + 9])
            return (width, height) if width and height else None
        else:
            place += 2 + max(int.from_bytes(data[place + 2 : place + 4]), 2)
    return None
