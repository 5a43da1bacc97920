"""The markup of a body: HTML, XHTML or NITF that others wrote, as NITF's elements and as text.

Only the elements that NITF knows are made again; nothing of the original is copied but words and
links that are passed on. Of elements that NITF lacks (spans, sections) the content stays; what is
not text (scripts, styles, forms, pictures) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
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
_PARTS = ("thead", "tbody", "tfoot", "tr")
_TRIMMED = frozenset({"p", "hl2", "li", "dt", "dd", "td", "th", "caption"})
_DROPPED = frozenset({"p", "hl2", "pre", "ul", "ol", "dl", "table", "tr", "caption", "bq", "block"})
_CELLS = ("td", "th")
_SPANS = ("colspan", "rowspan")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_WHOLE = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_NOTHING_LOST = 0.8  # least share of a body's letters that its markup must have
_DEEPEST = 60  # levels of markup, as each takes some of the stack
_OF_NITF = 0.5  # the least share if the body was read with NITF's own headlines


def clean_text(text: str) -> str:
    """Return `text` without the characters that XML can't have."""
    return _NOT_XML.sub("", text)


def blocks_of(markup: str, text: str, passes: Passes) -> list[Element]:
    """Return the body as the content of NITF's `block`. `text` is the body without markup: it is
    cut into paragraphs if there is no markup, or if the markup has less text or can't be read.
    `passes` says which addresses may be linked to.
    """
    block, least = etree.Element("block"), _NOTHING_LOST
    root = _parsed(markup) if markup else None
    if root is not None and _depth(root) <= _DEEPEST:
        block = _block(root, passes)
        least = _OF_NITF if root.tag == _CONTENT else least
    if _letters("".join(block.itertext())) < least * _letters(clean_text(text)):
        return _paragraphs(text)
    return list(block)


def _depth(root: Element) -> int:
    """Return how many levels of elements there are."""
    levels = {root: 1}
    for node in root.iterdescendants():
        levels[node] = levels[node.getparent()] + 1
    return max(levels.values())


def _block(root: Element, passes: Passes) -> Element:
    builder = etree.TreeBuilder()
    builder.start("block", {})
    _Flow(builder, passes, _mixed(root)).content(root)
    builder.end("block")
    return _tidied(builder.close())


def links_in(markup: str) -> list[str]:
    """Return the addresses that the markup links to."""
    root = _parsed(markup) if markup else None
    return [] if root is None else [str(href) for href in root.xpath("//a/@href")]


def plain_text(blocks: list[Element]) -> str:
    """Return the blocks as plain text: a blank line between paragraphs, a dash before an entry of a
    list, a tab between the cells of a table.
    """
    return "\n\n".join(text for block in blocks if (text := "\n".join(_lines(block)).strip("\n")))


def _letters(text: str) -> int:
    return sum(map(len, text.split()))


def _parsed(markup: str) -> Element | None:
    """Return the element with the content; None for markup that the parser can't read."""
    root = _tree(markup)
    return root if root is None else next(root.iter(_CONTENT), root)


def _tree(markup: str) -> Element | None:
    """Return markup as a tree; None if the parser can't read it. What it declares as its encoding
    does not count: it is text already.
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
    """Writes blocks; words outside of blocks become paragraphs. `mixed` are the elements that have
    a block in them.
    """

    out: Element  # an etree.TreeBuilder
    passes: Passes
    mixed: AbstractSet[Element]
    in_paragraph: bool = False

    def content(self, node: Element) -> None:
        """The content of `node`, without itself."""
        self._words(node.text)
        for child in node:
            if isinstance(child.tag, str):
                self._child(child, child.tag.lower())
            self._words(child.tail)
        self._close()

    def _child(self, child: Element, tag: str) -> None:
        if tag in _LEFT_OUT:
            return
        if tag in _INLINE and child not in self.mixed:
            self._open()
            self._inline(child, tag)
            return
        self._close()
        if tag == "p" and child not in self.mixed:
            self._filled(child, "p")
        elif tag in _HEADINGS:
            self._filled(child, "hl2")
        elif tag == "pre":
            self._element("pre", {}, lambda: self.out.data("".join(child.itertext())))
        elif tag == "hr":
            self._element("hr", {}, lambda: None)
        elif tag in _LISTS:
            self._element(tag, {}, lambda: self._entries(child, _LISTS[tag]))
        elif tag == "table":
            self._element("table", {}, lambda: self._table(child))
        elif tag in ("blockquote", "bq"):
            self._element("bq", {}, lambda: self._element("block", {}, lambda: self.content(child)))
        else:
            self.content(child)

    def _element(self, tag: str, attributes: dict[str, str], inside: Callable[[], None]) -> None:
        self.out.start(tag, attributes)
        inside()
        self.out.end(tag)

    def _words(self, text: str | None) -> None:
        if text and (self.in_paragraph or text.strip()):
            self._open()
            self.out.data(text)

    def _open(self) -> None:
        if not self.in_paragraph:
            self.out.start("p", {})
            self.in_paragraph = True

    def _close(self) -> None:
        if self.in_paragraph:
            self.out.end("p")
            self.in_paragraph = False

    def _filled(self, node: Element, tag: str, attributes: dict[str, str] | None = None) -> None:
        """Make an element that holds words only."""
        self._element(tag, attributes or {}, lambda: self._inlines(node))

    def _inlines(self, node: Element) -> None:
        self.out.data(node.text or "")
        for child in node:
            if isinstance(child.tag, str) and child.tag.lower() not in _LEFT_OUT:
                self._inline(child, child.tag.lower())
            self.out.data(child.tail or "")

    def _inline(self, node: Element, tag: str) -> None:
        if tag == "br":
            self._element("br", {}, lambda: None)
        elif tag == "a" and self.passes(href := (node.get("href") or "").strip()):
            self._filled(node, "a", {"href": href})
        elif tag == "q":
            self._filled(node, "q")
        elif tag in _EMPHASIS:
            self._filled(node, "em", {"class": _EMPHASIS[tag]} if _EMPHASIS[tag] else {})
        else:
            self._inlines(node)

    def _entries(self, node: Element, tags: tuple[str, ...]) -> None:
        for child in _children(node, tags):
            self._entry(child, {})

    def _table(self, node: Element) -> None:
        for caption in _children(node, ("caption",)):
            self._filled(caption, "caption")
        for part in _children(node, _PARTS):
            for row in (part,) if part.tag.lower() == "tr" else _children(part, ("tr",)):
                self._element("tr", {}, partial(self._row, row))

    def _row(self, row: Element) -> None:
        for cell in _children(row, _CELLS):
            self._entry(cell, {n: v for n in _SPANS if _WHOLE.fullmatch(v := cell.get(n) or "")})

    def _entry(self, node: Element, attributes: dict[str, str]) -> None:
        """An entry of a list, or a cell: words alone, or blocks."""
        inside = self.content if node in self.mixed else self._inlines
        self._element(node.tag.lower(), attributes, partial(inside, node))


def _mixed(root: Element) -> AbstractSet[Element]:
    """Return the elements that have a block in them."""
    found: set[Element] = set()
    for node in root.iter():
        if isinstance(node.tag, str) and node.tag.lower() not in _INLINE | _LEFT_OUT:
            above = node.getparent()
            while above is not None and above not in found:
                found.add(above)
                above = above.getparent()
    return found


def _children(node: Element, tags: tuple[str, ...]) -> Iterator[Element]:
    for child in node:
        if isinstance(child.tag, str) and child.tag.lower() in tags:
            yield child


def _tidied(block: Element) -> Element:
    """Return blocks without superfluous blanks, and without those that say nothing."""
    filled: set[Element] = set()
    for node in reversed(list(block.iter())):
        text = node.text or ""
        node.text = text if node.tag == "pre" else _BLANKS.sub(" ", text)
        node.tail = _BLANKS.sub(" ", node.tail or "")
        if node.tag in _TRIMMED:
            _trim(node)
        if (
            node.tag == "hr"
            or node.text.strip()
            or any(child in filled or child.tail.strip() for child in node)
        ):
            filled.add(node)
        elif node.tag in _DROPPED and node is not block:
            node.getparent().remove(node)
    return block


def _trim(node: Element) -> None:
    node.text = node.text.lstrip()
    if len(node):
        node[-1].tail = node[-1].tail.rstrip()
    else:
        node.text = node.text.rstrip()


def _lines(block: Element) -> Iterator[str]:
    """Yield the lines of a block as plain text."""
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
    """Return the text of an element. Each `br` becomes a line break, and each block begins a
    line.
    """
    words = [node.text or ""]
    for child in node:
        apart = "\n" if child.tag in ("br", "p", "li", "hl2", "tr") else ""
        words += (apart, _spelled(child), child.tail or "")
    return "".join(words)


# --- markup that stays markup

_ADDRESSES = frozenset({
    "href", "src", "srcset", "action", "formaction", "data", "poster", "background", "cite",
    "longdesc", "usemap", "xlink:href", "ping", "manifest", "codebase", "archive", "classid",
})  # fmt: skip
_PROGRAMS = frozenset({"script", "iframe", "frame", "object", "embed", "applet", "base", "meta"})
_XML = ("<?xml", "<nitf", "<!DOCTYPE nitf")
_TAG = re.compile(r"<[a-zA-Z!?/]")


def addresses_in(markup: str) -> list[str]:
    """Return all addresses in a text that may be markup."""
    root = _tree(markup) if _TAG.search(markup) else None
    nodes = [] if root is None else [node for node in root.iter() if isinstance(node.tag, str)]
    return [v.strip() for node in nodes for n, v in node.attrib.items() if n.lower() in _ADDRESSES]


def safe_markup(markup: str, passes: Passes) -> str:
    """Return a text itself, unless it is markup with a program or an address that does not pass:
    then without these. Markup that can't be read becomes its text.
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
    """Take programs and addresses that do not pass out of a tree; return whether there were any."""
    found = next(root.iter(*_PROGRAMS), None) is not None
    etree.strip_elements(root, *_PROGRAMS, with_tail=False)
    for node in root.iter(etree.Element):
        for name, value in list(node.attrib.items()):
            plain = name.lower()
            if plain.startswith("on") or (plain in _ADDRESSES and not passes(value.strip())):
                del node.attrib[name]
                found = True
    return found
