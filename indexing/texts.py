"""Plain, searchable text: without markup and control characters, in NFC.

Only the searchable members change; `Item.source` keeps the document as it arrived.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from core.errors import DocumentError
from core.items import Item
from core.query_tree import APART
from storage.record.item_fields import indexed_texts

MAX_BODY_BYTES = 1024 * 1024  # about 180,000 words of English, a book of 600 pages
MAX_WORDS = 200_000  # limit of all people's words of a document that are indexed
SHOT_WORDS = 5  # words that a shot costs beside its own
MAX_TEXT_BYTES = 64 * 1024  # limit of every other text: lists of hits show it whole
MAX_TAGS = 100_000  # limit of the markup of one text of a document
_WORD = re.compile(r"[^\W_]+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:.-]*)")
# Larger than any character's number. Python refuses to parse thousands of digits.
_NO_REFERENCE = re.compile(r"&#\d{20,};?")
# No language writes a longer run of marks, and normalising one takes time that grows with its
# square. UAX #15 sets the same bound for stream-safe text.
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
    """Return `text` in NFC without C0 control characters (tab, newline and carriage return stay)
    and without marks beyond 30 in a row, and the number of removed characters. Right-to-left marks,
    joiners and emoji stay.
    """
    removed = 0
    if _CONTROL.search(text):
        text, removed = _CONTROL.subn("", text)
    if not text.isascii():
        if not _is_stream_safe(text):
            before = len(text)
            text = _stream_safe(text)
            removed += before - len(text)
        text = unicodedata.normalize("NFC", text)
    return text, removed


def check_size(text: str, field: str, most: int = MAX_TEXT_BYTES) -> str:
    """Return `text` itself. Raises DocumentError if it is larger than `most` bytes in UTF-8."""
    if len(text) * 4 > most and len(text.encode()) > most:
        raise DocumentError(f"text too large: over {most} bytes", field=field)
    return text


def check_body(text: str, field: str) -> str:
    """Return `text` itself. Raises DocumentError if it is larger than 1 MiB."""
    return check_size(text, field, MAX_BODY_BYTES)


def check_words(item: Item) -> Item:
    """Return `item` itself. Raises DocumentError if people's words in it are more than 200,000; a
    shot that they describe counts for five more. Each word costs the same to index, however short
    it is and in whatever member.
    """
    said = [text for name, text in indexed_texts(item).items() if name not in APART]
    described = item.agency_shotlist
    shots = SHOT_WORDS * (described.count("\n") + 1 if described else 0)
    most = MAX_WORDS - shots
    if sum(map(len, said)) > most and sum(map(_count_words, said)) > most:
        raise DocumentError(
            f"document too large: over {MAX_WORDS} words", mend="send it in several documents"
        )
    return item


def _count_words(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(text))


def strip_markup(markup: str) -> str:
    """Return the text of an HTML, XHTML or NITF fragment; a blank line separates paragraphs.

    Cuts at angle brackets in one pass. The standard library's html.parser searches again and again
    for the end of an unfinished tag: a megabyte of `<a ` would keep it busy for hours.
    """
    blocks: list[list[str]] = []
    for tag, text in _pieces(markup):
        if not blocks or tag in _PARAGRAPH:
            blocks.append([text])
        else:
            blocks[-1] += ("\n", text) if tag in _LINE else (text,)
    paragraphs = (_paragraph("".join(block)) for block in blocks)
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _pieces(markup: str) -> Iterator[tuple[str, str]]:
    """Yield each tag's name ("" before the first) and the text up to the next tag, in order,
    without hidden elements and comments.
    """
    hidden = ""
    in_comment = False
    first, *rest = markup.split("<")
    yield "", _text(first)
    for piece in rest:
        if in_comment or piece.startswith("!--"):
            in_comment = "-->" not in piece
            name, text = "", piece.partition("-->")[2]
        else:
            name, text = _split_tag(piece)
            if hidden or name in _HIDDEN:
                hidden = _next_hidden(hidden, name, piece)
        if not hidden:
            yield name, _text(text)


def _split_tag(piece: str) -> tuple[str, str]:
    """Return the lower-case name of the tag that `piece` (cut after `<`) begins with, and the text
    after it; no name, and the bracket as text, if it is not a tag.
    """
    if piece[:1] in ("!", "?"):
        return "", piece.partition(">")[2]
    match = _TAG_NAME.match(piece)
    if match is None:
        return "", "<" + piece
    return match[1].lower(), piece.partition(">")[2]


def _next_hidden(hidden: str, name: str, piece: str) -> str:
    """Return the hidden element that the text after a tag is in; "" if it is in none."""
    if hidden:
        return "" if name == hidden and piece.startswith("/") else hidden
    if piece.startswith("/"):
        return ""
    closed_at_once = piece.partition(">")[0].endswith("/")
    return "" if closed_at_once else name


def _text(raw: str) -> str:
    """Return text with character references resolved; line breaks of the markup become blanks."""
    if "&" in raw:
        raw = html.unescape(_NO_REFERENCE.sub("\ufffd", raw))
    return raw.replace("\n", " ")


def _paragraph(text: str) -> str:
    lines = (text,) if "\n" not in text else text.split("\n")
    return "\n".join([" ".join(line.split()) for line in lines]).strip()


def _is_stream_safe(text: str) -> bool:
    """Return whether at most 30 marks follow one another."""
    run = 0
    for char in text:
        if char < "\u0300" or not unicodedata.combining(char):
            run = 0
        elif (run := run + 1) > _MAX_MARKS:
            return False
    return True


def _stream_safe(text: str) -> str:
    """Return `text` without the marks beyond 30 in a row."""
    kept: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)
