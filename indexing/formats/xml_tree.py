"""Parses XML from strangers: bounded in bytes, depth and elements, without entities or network.

A DOCTYPE is allowed, because NITF files have one, but nothing that it names is fetched and no
entity may be declared. The names of HTML's characters (`&nbsp;`) are known in such a file.
Functions here name elements and attributes without their namespaces.
"""

from __future__ import annotations

import html.entities
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from core.errors import DocumentError

MAX_XML_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
MAX_ELEMENTS = 250_000
_LINES_DEPTH = 4  # elements so deep at most have their line remembered
_PIECE = 64 * 1024
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class XmlTree:
    """The root of a parsed file, and the lines where its upper elements begin."""

    root: Element
    lines: Mapping[Element, int]


class _Builder(TreeBuilder):
    """Builds elements, counts them, and remembers where the upper ones begin."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Element, int] = {}
        self.line: Callable[[], int] = int
        self._depth = 0
        self._elements = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise DocumentError(f"nested too deeply: over {MAX_DEPTH} levels of XML")
        if self._elements > MAX_ELEMENTS:
            raise DocumentError(f"too many elements: over {MAX_ELEMENTS}", mend="split the file")
        element = super().start(tag, attrs)
        if self._depth <= _LINES_DEPTH:
            self.lines[element] = self.line()
        return element

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(data: bytes) -> XmlTree:
    """Return the tree of an XML file. Raises DocumentError if it is malformed, too large, nested
    too deeply, or if it declares an entity.
    """
    if len(data) > MAX_XML_BYTES:
        raise DocumentError(
            f"document too large: over {MAX_XML_BYTES} bytes", mend="split the file"
        )
    builder = _Builder()
    parser = XMLParser(target=builder, forbid_entities=True, forbid_external=True)
    parser.entity.update({name: chr(code) for name, code in html.entities.name2codepoint.items()})
    builder.line = lambda: int(parser.parser.CurrentLineNumber)
    try:
        for start in range(0, len(data), _PIECE):
            parser.feed(data[start : start + _PIECE])
        root = parser.close()
    except DefusedXmlException as error:
        raise DocumentError(
            "XML with declared entities or outside references is not read",
            mend="write the characters themselves, without a DTD",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DocumentError(f"malformed XML: {error}") from error
    if not isinstance(root, Element):
        raise DocumentError("malformed XML: no element found")
    return XmlTree(root, builder.lines)


def name_of(element: Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def space_of(element: Element) -> str:
    """Return an element's namespace; "" if it has none."""
    return str(element.tag).rpartition("}")[0].removeprefix("{")


def children(element: Element | None, *names: str) -> Iterator[Element]:
    """Yield the children of these names, in order; all children if no name is given."""
    for child in element if element is not None else ():
        if not names or name_of(child) in names:
            yield child


def first(element: Element | None, *path: str) -> Element | None:
    """Return the first child of the first child … by these names."""
    for name in path:
        element = next(children(element, name), None)
    return element


def text_of(element: Element | None) -> str:
    """Return all text in an element, with single blanks."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def said(element: Element | None, *path: str) -> str | None:
    """Return the text of the element at a path; None if there is none or it is blank."""
    return text_of(first(element, *path)) or None


def attribute(element: Element | None, name: str) -> str | None:
    """Return an attribute without blanks around it; None if it is missing or blank."""
    return None if element is None else (element.get(name) or "").strip() or None


def language_of(element: Element | None) -> str | None:
    """Return `xml:lang`."""
    return attribute(element, _LANG)


def whole(value: str | None) -> int | None:
    """Return digits as a number; None for another text."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 16 else None


def unread(element: Element | None, read: str) -> list[str]:
    """Return a note for each child whose name is not among those that are `read`, with blanks
    between them. Raises DocumentError for an embargo among them: it would hide the document.
    """
    if element is None:
        return []
    known = frozenset(read.split())
    names = [name_of(child) for child in element if name_of(child) not in known]
    for name in names:
        if name.lower().startswith("embargo"):
            raise DocumentError("an embargo that is not read", field=name)
    return [f"not read: {name_of(element)}/{name}" for name in names]


def inner_markup(element: Element) -> str:
    """Return what is inside an element as markup, with names but without namespaces."""
    return "".join(_inner(element)).strip()


def _inner(element: Element) -> Iterator[str]:
    yield escape(element.text or "")
    for child in element:
        name = name_of(child)
        attributes = "".join(
            f" {key.rpartition('}')[2]}={quoteattr(value)}" for key, value in child.attrib.items()
        )
        inside = "".join(_inner(child))
        yield f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"
        yield escape(child.tail or "")
