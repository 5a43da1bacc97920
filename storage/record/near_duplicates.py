"""MinHash signatures of stories' texts (Broder, On the resemblance and containment of documents,
1997), made by the rensa library and cut to the low 16 bits of each value (b-bit minwise hashing; Li
and König, 2010), which adds at most 2**-16 to an estimate.

A signature belongs to a scheme: the text, how it is cut into words and shingles, the number of
values, the seed, and the library's algorithm, which has its own number. Signatures of two schemes
are never compared. If you change anything here, raise _TAKEN; recorded signatures are then made
again.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from rensa import RMinHash

from core.items import Item, ItemType
from core.retrieval import SignatureMatrix

_TAKEN = 1
SCHEME: int = 1000 * _TAKEN + int(RMinHash.ALGORITHM_VERSION)
COLUMNS = 128
SHINGLE_WORDS = 5
_LOW = struct.Struct(f"<{COLUMNS}H")
# More than an item's text may have; this only cuts texts of which NFKC makes far more words.
_MOST_WORDS = 262_144
_SEED = 1
_WORD = re.compile(r"\w+")
_BREAK = re.compile(r"[\t\n -/:;?@]")
_PART = 8_192  # characters
# A picture's or a video's text does not identify it: a series often has one caption for all.
_TOLD_BY_TEXT = frozenset({ItemType.TEXT, ItemType.COMPOSITE})


def signature_of(item: Item) -> bytes:
    """Return the item's signature, COLUMNS values of two bytes; empty for an item without text, or
    of a type that its text does not identify.
    """
    shingles = shingles_of(text_of(item)) if item.type in _TOLD_BY_TEXT else []
    if not shingles:
        return b""
    sketch = RMinHash(num_perm=COLUMNS, seed=_SEED)
    sketch.update(shingles)
    return _LOW.pack(*[value & 0xFFFF for value in sketch.digest()])  # numpy takes longer


def as_rows(signatures: Iterable[bytes]) -> SignatureMatrix:
    """Return signatures as uint16 [n, COLUMNS]."""
    values = np.frombuffer(b"".join(signatures), "<u2")
    return values.astype(np.uint16).reshape(-1, COLUMNS)


def text_of(item: Item) -> str:
    """Return the text to compare: headline and body, or the description if there is no body."""
    return f"{item.headline}\n{item.body or item.description}"


def shingles_of(text: str) -> Sequence[str]:
    """Return every run of SHINGLE_WORDS words, without case and punctuation. A text of fewer words
    is one shingle, so that it only resembles an equal text.
    """
    words = _words_of(text)
    if len(words) <= SHINGLE_WORDS:
        return [" ".join(words)] if words else []
    runs = (words[start:] for start in range(SHINGLE_WORDS))
    return list(map(" ".join, zip(*runs, strict=False)))


def _words_of(text: str) -> list[str]:
    """Return the first words in NFKC, at most _MOST_WORDS. NFKC may make eighteen letters of one,
    so this normalises one part of `text` at a time, only while words are missing. A part ends with
    a character that ends a word and that no normal form joins to the next one.
    """
    words: list[str] = []
    start = 0
    while start < len(text) and len(words) < _MOST_WORDS:
        end = _BREAK.search(text, start + _PART)
        part = text[start : end.end() if end else len(text)]
        plain = part if part.isascii() else unicodedata.normalize("NFKC", part)
        words += _WORD.findall(plain.casefold())
        start += len(part)
    return words[:_MOST_WORDS]
