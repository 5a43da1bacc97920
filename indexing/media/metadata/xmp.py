"""An XMP packet as properties: `{namespace}name` to texts and structures.

RDF writes one thing in several ways: a property is an attribute or an element; a list is a Bag or a
Seq, languages are an Alt; a structure is a nested Description, `parseType="Resource"`, or
attributes. This module reads all of these, and nothing else of RDF. ISO 16684-1:2019, sections 7.4
to 7.9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from core.errors import MediaError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Value = str | Mapping[str, tuple["Value", ...]]
Properties = Mapping[str, tuple[Value, ...]]

LONGEST_PACKET = 2**20  # characters
_MOST_ELEMENTS = 20_000
_DEEPEST = 12
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LISTS = (f"{_RDF}Bag", f"{_RDF}Seq")
_NO_PROPERTY = (_RDF, "{http://www.w3.org/XML/1998/namespace}", "{adobe:ns:meta/}")


def read_xmp(packet: str) -> Properties:
    """Return the properties of a packet, each with its values in order; of an Alt only the text in
    the default language. Raises MediaError for a text that is not XMP, too large or too deep.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(packet) > LONGEST_PACKET:
        raise MediaError(f"the XMP packet is over {LONGEST_PACKET} characters")
    try:
        root = fromstring(packet.strip().strip("\0\ufeff"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise MediaError(f"the XMP packet can't be read: {type(error).__name__}") from error
    if sum(1 for _ in root.iter()) > _MOST_ELEMENTS:
        raise MediaError(f"the XMP packet has over {_MOST_ELEMENTS} elements")
    found: dict[str, tuple[Value, ...]] = {}
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.findall(f"{_RDF}Description"):
            for name, values in _properties(description, 0).items():
                found.setdefault(name, values)
    return found


def _properties(element: Element, depth: int) -> dict[str, tuple[Value, ...]]:
    """Return the properties that an element has as attributes and as children."""
    found: dict[str, tuple[Value, ...]] = {}
    for name, text in element.attrib.items():
        if _is_property(name) and text.strip():
            found[name] = (text.strip(),)
    for child in element:
        if _is_property(child.tag) and (values := tuple(_values(child, depth + 1))):
            found.setdefault(child.tag, values)
    return found


def _values(element: Element, depth: int) -> Iterator[Value]:
    """Yield the values of one property element."""
    if depth > _DEEPEST:
        raise MediaError(f"the XMP packet is over {_DEEPEST} levels deep")
    if (resource := element.get(f"{_RDF}resource", "").strip()) and not len(element):
        yield resource
        return
    for child in element:
        if child.tag in _LISTS:
            for entry in child:
                yield from _values(entry, depth + 1)
            return
        if child.tag == f"{_RDF}Alt":
            yield from _default_of(child)
            return
    inner = element.find(f"{_RDF}Description")
    if structure := _properties(element if inner is None else inner, depth + 1):
        yield structure
    elif not len(element) and (text := (element.text or "").strip()):
        yield text


def _default_of(alternatives: Element) -> Iterator[str]:
    """Yield the text in the default language, else the first."""
    texts = [(each.get(_LANG, ""), (each.text or "").strip()) for each in alternatives]
    kept = [text for lang, text in texts if text and lang == "x-default"]
    kept += [text for _, text in texts if text]
    yield from kept[:1]


def _is_property(name: object) -> bool:
    return isinstance(name, str) and name.startswith("{") and not name.startswith(_NO_PROPERTY)
