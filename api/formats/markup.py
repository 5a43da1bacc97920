"""The markup of a body: HTML, XHTML or NITF that others wrote, as NITF's elements and as text.

Only the elements that NITF knows are made anew; nothing of the original is copied but words and
links that are passed on. What NITF does not have (spans, sections) gives its content, and what is
no text (scripts, styles, forms, pictures) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape as html_escape
from typing import Any

from lxml import etree, html

from indexing.texts import strip_markup

Element = Any  # lxml has no types
Passes = Callable[[str], bool]

_LEFT_OUT = frozenset({
    "script", "style", "head", "title", "template", "noscript", "iframe", "object", "embed",
    "form", "input", "button", "select", "textarea", "svg", "math", "img", "picture", "video",
    "audio", "source", "canvas", "media", "map", "nav",
})  # fmt: skip
_EMPHASIS = {"b": "bold", "strong": "bold", "i": "italic", "em": "", "u": "underline"}
_INLINE = frozenset({
    *_EMPHASIS, "a", "br", "q", "span", "font", "small", "big", "sub", "sup", "abbr", "cite",
    "code", "kbd", "samp", "var", "time", "mark", "s", "del", "ins", "label", "wbr", "bdo", "bdi",
    "person", "org", "location", "chron", "num", "money", "event", "lang", "virtloc", "tt", "dfn",
    "function", "object.title", "postaddr", "pronounce", "copyrite", "strike", "acronym", "data",
})  # fmt: skip
_CONTENT = "body.content"
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "hl1", "hl2"})
_LISTS = {"ul": ("li",), "ol": ("li",), "dl": ("dt", "dd")}
_ROWS = ("tr",)
_CELLS = ("td", "th")
_SPANS = ("colspan", "rowspan")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_WHOLE = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_NOTHING_LOST = 0.8  # of a body's letters that its markup must have
_OF_NITF = 0.5  # as the body was read with NITF's own headlines


def clean_text(text: str) -> str:
    """`text` without the characters that XML can't have."""
    return _NOT_XML.sub("", text)


def blocks_of(markup: str, text: str, passes: Passes) -> list[Element]:
    """The body as the content of NITF's `block`. `text` is the body without markup: it is cut into
    paragraphs if there is no markup, or if the markup has less text or is beyond reading. `passes`
    says which addresses may be linked to.
    """
    block, least = etree.Element("block"), _NOTHING_LOST
    if markup and (root := _parsed(markup)) is not None:
        _Flow(block, passes).content(root)
        least = _OF_NITF if root.tag == _CONTENT else least
    if _letters("".join(block.itertext())) < least * _letters(clean_text(text)):
        return _paragraphs(text)
    return list(block)


def links_in(markup: str) -> list[str]:
    """The addresses that the markup links to."""
    root = _parsed(markup) if markup else None
    return [] if root is None else [str(href) for href in root.xpath("//a/@href")]


def plain_text(blocks: list[Element]) -> str:
    """The blocks as plain text: a blank line between paragraphs, a dash before an entry of a list,
    a tab between the cells of a table.
    """
    return "\n\n".join(text for block in blocks if (text := "\n".join(_lines(block)).strip("\n")))


def _letters(text: str) -> int:
    return sum(map(len, text.split()))


def _parsed(markup: str) -> Element | None:
    """The element with the content; None for markup that the parser can't read."""
    root = _tree(markup)
    return root if root is None else next(root.iter(_CONTENT), root)


def _tree(markup: str) -> Element | None:
    """Markup as a tree; None if the parser can't read it. What it declares as its encoding does not
    count: it is text already.
    """
    parser = html.HTMLParser(recover=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        return html.document_fromstring(clean_text(markup).encode() or b"<p/>", parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def _paragraphs(text: str) -> list[Element]:
    found = []
    for part in re.split(r"\n\s*\n", clean_text(text)):
        lines = [line.strip() for line in part.split("\n") if line.strip()]
        if not lines:
            continue
        paragraph = etree.Element("p")
        paragraph.text = lines[0]
        for line in lines[1:]:
            etree.SubElement(paragraph, "br").tail = line
        found.append(paragraph)
    return found


@dataclass(slots=True)
class _Flow:
    """Fills an element with blocks; words that are in none of them become paragraphs."""

    out: Element
    passes: Passes
    paragraph: Element | None = field(default=None)

    def content(self, node: Element) -> None:
        """The content of `node`, without itself."""
        self._inner(node)
        self._close()

    def _inner(self, node: Element) -> None:
        self._words(node.text)
        for child in node:
            if isinstance(child.tag, str):
                self._child(child, child.tag.lower())
            self._words(child.tail)

    def _child(self, child: Element, tag: str) -> None:
        if tag in _LEFT_OUT:
            return
        if tag in _INLINE and not _has_block(child):
            _inline(child, self._open(), self.passes)
            return
        self._close()
        if tag == "p" and not _has_block(child):
            _filled(child, etree.SubElement(self.out, "p"), self.passes)
        elif tag in _HEADINGS:
            _filled(child, etree.SubElement(self.out, "hl2"), self.passes)
        elif tag == "pre":
            etree.SubElement(self.out, "pre").text = "".join(child.itertext())
        elif tag == "hr":
            etree.SubElement(self.out, "hr")
        elif tag in _LISTS:
            _listed(child, tag, self.out, self.passes)
        elif tag == "table":
            _tabled(child, self.out, self.passes)
        elif tag in ("blockquote", "bq"):
            quote = etree.SubElement(self.out, "bq")
            _Flow(etree.SubElement(quote, "block"), self.passes).content(child)
            _drop_empty(quote)
        else:
            self._inner(child)
            self._close()

    def _words(self, text: str | None) -> None:
        if text and (self.paragraph is not None or text.strip()):
            _append(self._open(), text)

    def _open(self) -> Element:
        if self.paragraph is None:
            self.paragraph = etree.SubElement(self.out, "p")
        return self.paragraph

    def _close(self) -> None:
        if self.paragraph is not None:
            _trim(self.paragraph)
            _drop_empty(self.paragraph)
            self.paragraph = None


def _has_block(node: Element) -> bool:
    return any(
        isinstance(child.tag, str) and child.tag.lower() not in _INLINE | _LEFT_OUT
        for child in node.iterdescendants()
    )


def _filled(node: Element, made: Element, passes: Passes) -> None:
    """Fills an element that holds words only; it is dropped if there are none."""
    _inlines(node, made, passes)
    _trim(made)
    _drop_empty(made)


def _inlines(node: Element, made: Element, passes: Passes) -> None:
    _append(made, node.text or "")
    for child in node:
        if isinstance(child.tag, str) and child.tag.lower() not in _LEFT_OUT:
            _inline(child, made, passes)
        _append(made, child.tail or "")


def _inline(node: Element, made: Element, passes: Passes) -> None:
    tag = node.tag.lower()
    if tag == "br":
        etree.SubElement(made, "br")
    elif tag == "a" and passes(href := (node.get("href") or "").strip()):
        _inlines(node, etree.SubElement(made, "a", href=href), passes)
    elif tag == "q":
        _inlines(node, etree.SubElement(made, "q"), passes)
    elif tag in _EMPHASIS:
        kind = {"class": _EMPHASIS[tag]} if _EMPHASIS[tag] else {}
        _inlines(node, etree.SubElement(made, "em", **kind), passes)
    else:
        _inlines(node, made, passes)


def _listed(node: Element, tag: str, out: Element, passes: Passes) -> None:
    made = etree.SubElement(out, tag)
    for child in _children(node, _LISTS[tag]):
        _mixed(child, etree.SubElement(made, child.tag.lower()), passes)
    _drop_empty(made)


def _tabled(node: Element, out: Element, passes: Passes) -> None:
    made = etree.SubElement(out, "table")
    for caption in _children(node, ("caption",)):
        _filled(caption, etree.SubElement(made, "caption"), passes)
    for row in node.iter(*_ROWS):
        told = etree.SubElement(made, "tr")
        for cell in _children(row, _CELLS):
            spans = {n: v for n in _SPANS if _WHOLE.fullmatch(v := cell.get(n) or "")}
            _mixed(cell, etree.SubElement(told, cell.tag.lower(), **spans), passes)
        if not len(told):
            made.remove(told)
    _drop_empty(made)


def _mixed(node: Element, made: Element, passes: Passes) -> None:
    """An entry or a cell: words alone, or blocks."""
    if _has_block(node):
        _Flow(made, passes).content(node)
    else:
        _inlines(node, made, passes)
        _trim(made)


def _children(node: Element, tags: tuple[str, ...]) -> Iterator[Element]:
    for child in node:
        if isinstance(child.tag, str) and child.tag.lower() in tags:
            yield child


def _append(made: Element, text: str) -> None:
    text = _BLANKS.sub(" ", text)
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


def _trim(made: Element) -> None:
    made.text = (made.text or "").lstrip()
    if len(made):
        made[-1].tail = (made[-1].tail or "").rstrip()
    else:
        made.text = made.text.rstrip()


def _drop_empty(made: Element) -> None:
    if not "".join(made.itertext()).strip():
        made.getparent().remove(made)


def _lines(block: Element) -> Iterator[str]:
    """The lines of a block as plain text."""
    if block.tag in ("ul", "ol", "dl"):
        for entry in block:
            yield f"- {_flat(entry)}"
    elif block.tag == "table":
        for row in block:
            yield "\t".join(map(_flat, row)) if row.tag == "tr" else _flat(row)
    elif block.tag == "bq":
        yield plain_text(list(block[0]))
    elif block.tag == "pre":
        yield block.text or ""
    else:
        yield from (" ".join(line.split()) for line in _spelled(block).split("\n"))


def _flat(node: Element) -> str:
    return " ".join(_spelled(node).split())


def _spelled(node: Element) -> str:
    """The words of an element, with a line break for each `br` and between blocks."""
    words = node.text or ""
    for child in node:
        apart = "\n" if child.tag in ("br", "p", "li", "hl2", "tr") else ""
        words += apart + _spelled(child) + (child.tail or "")
    return words


# --- markup that stays markup

_ADDRESSES = frozenset({
    "href", "src", "srcset", "action", "formaction", "data", "poster", "background", "cite",
    "longdesc", "usemap", "xlink:href", "ping", "manifest", "codebase", "archive", "classid",
})  # fmt: skip
_PROGRAMS = frozenset({"script", "iframe", "frame", "object", "embed", "applet", "base", "meta"})
_XML = ("<?xml", "<nitf", "<!DOCTYPE nitf")
_TAG = re.compile(r"<[a-zA-Z!?/]")


def addresses_in(markup: str) -> list[str]:
    """All addresses in a text that may be markup."""
    root = _tree(markup) if _TAG.search(markup) else None
    nodes = [] if root is None else [node for node in root.iter() if isinstance(node.tag, str)]
    return [v.strip() for node in nodes for n, v in node.attrib.items() if n.lower() in _ADDRESSES]


def safe_markup(markup: str, passes: Passes) -> str:
    """A text itself, unless it is markup with a program or an address that does not pass: then
    without these. Markup that can't be read becomes its text.
    """
    if not _TAG.search(markup):
        return markup
    root = _tree(markup)
    text = strip_markup(markup)
    if root is None or _letters("".join(root.itertext())) < _OF_NITF * _letters(clean_text(text)):
        return text
    if not _made_harmless(root, passes):
        return markup
    if markup.lstrip().startswith(_XML):
        return text
    content = next(root.iter("body"), root)
    method = "xml" if "/>" in markup else "html"
    inner = [etree.tostring(child, encoding="unicode", method=method) for child in content]
    return html_escape(content.text or "", quote=False) + "".join(inner)


def _made_harmless(root: Element, passes: Passes) -> bool:
    """Takes programs and addresses that do not pass out of a tree; whether there were any."""
    found = False
    for node in list(root.iter()):
        if not isinstance(node.tag, str):
            continue
        if node.tag.lower() in _PROGRAMS:
            node.drop_tree()
            found = True
            continue
        for name, value in list(node.attrib.items()):
            plain = name.lower()
            if plain.startswith("on") or (plain in _ADDRESSES and not passes(value.strip())):
                del node.attrib[name]
                found = True
    return found
