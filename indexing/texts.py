"""Plain, searchable text: markup taken off, control characters out, NFC.

What is changed here is changed in the searchable members only; the document as it arrived stays
in `Item.source`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from core.errors import DocumentError

MAX_TEXT_BYTES = 4 * 1024 * 1024
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:.-]*)")
_BLANKS = re.compile(r"[ \t\r\f\v\n\xa0]+")
# A run of marks this long is no writing; normalising one takes time that grows with its square.
# UAX #15 sets the same bound for stream-safe text.
_MAX_MARKS = 30
_HIDDEN = frozenset({"script", "style", "head", "title"})
_PARAGRAPH = frozenset({
    "address", "article", "aside", "block", "blockquote", "body", "body.content", "body.head",
    "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
    "h3", "h4", "h5", "h6", "hedline", "header", "hl1", "hl2", "hr", "li", "main", "nav", "ol",
    "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_LINE = frozenset({"br", "td", "th"})


def clean(text: str) -> tuple[str, int]:
    """`text` in NFC without C0 control characters (tab, newline and carriage return stay), and how
    many were taken out. Right-to-left marks, joiners and emoji are left alone.
    """
    removed = 0
    if _CONTROL.search(text):
        text, removed = _CONTROL.subn("", text)
    if not text.isascii() and _is_stream_safe(text):
        text = unicodedata.normalize("NFC", text)
    return text, removed


def check_size(text: str, field: str) -> str:
    """`text` itself; raises DocumentError where it is larger than 4 MiB in UTF-8."""
    if len(text) * 4 > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
        raise DocumentError(f"text too large: over {MAX_TEXT_BYTES} bytes", field=field)
    return text


def strip_markup(markup: str) -> str:
    """The text of an HTML, XHTML or NITF fragment; paragraphs are parted by a blank line.

    Cuts at angle brackets in one pass. The standard library's html.parser looks again and again
    for the end of an unfinished tag: a megabyte of `<a ` would hold it for hours.
    """
    blocks: list[list[str]] = [[]]
    for is_tag, piece in _pieces(markup):
        if not is_tag:
            blocks[-1].append(piece)
        elif piece in _PARAGRAPH:
            blocks.append([])
        elif piece in _LINE:
            blocks[-1].append("\n")
    paragraphs = (_paragraph("".join(block)) for block in blocks)
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _pieces(markup: str) -> Iterator[tuple[bool, str]]:
    """(True, a tag's name) or (False, text) in order; hidden elements and comments are left out."""
    hidden = ""
    in_comment = False
    first, *rest = markup.split("<")
    yield False, _text(first)
    for piece in rest:
        if in_comment or piece.startswith("!--"):
            in_comment = "-->" not in piece
            name, text = "", piece.partition("-->")[2]
        else:
            name, text = _split_tag(piece)
            hidden = _next_hidden(hidden, name, piece)
        if not hidden:
            yield True, name
            yield False, _text(text)


def _split_tag(piece: str) -> tuple[str, str]:
    """The lower-case name and the text after the tag that `piece` (cut after `<`) begins with; no
    name, and the bracket as text, where it is no tag.
    """
    if piece[:1] in ("!", "?"):
        return "", piece.partition(">")[2]
    match = _TAG_NAME.match(piece)
    if match is None:
        return "", "<" + piece
    return match[1].lower(), piece.partition(">")[2]


def _next_hidden(hidden: str, name: str, piece: str) -> str:
    """The hidden element that we are in after this tag, "" where none."""
    if hidden:
        return "" if name == hidden and piece.startswith("/") else hidden
    opens = name in _HIDDEN and not piece.startswith("/")
    closed_at_once = piece.partition(">")[0].endswith("/")
    return name if opens and not closed_at_once else ""


def _text(raw: str) -> str:
    """Character references resolved; line breaks of the markup are only blanks."""
    return _BLANKS.sub(" ", html.unescape(raw) if "&" in raw else raw)


def _paragraph(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()


def _is_stream_safe(text: str) -> bool:
    """Whether no more than 30 marks follow one another."""
    run = 0
    for char in text:
        if char < "\u0300" or not unicodedata.combining(char):
            run = 0
        elif (run := run + 1) > _MAX_MARKS:
            return False
    return True
