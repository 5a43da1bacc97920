"""MinHash signatures of stories' texts (Broder, On the resemblance and containment of documents,
1997), made by the rensa library and cut to the low 16 bits of each value (b-bit minwise hashing; Li
and König, 2010), which adds at most 2**-16 to an estimate.

A signature belongs to a scheme, which is all that goes into it: the text, how it is cut into words
and shingles, the number of values, the seed, and the library's algorithm, which has a number of its
own. Signatures of two schemes are never compared; whoever changes anything here raises _TAKEN, and
what is recorded is made anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from rensa import RMinHash

from core.items import Item, ItemType
from core.near_duplicates import SignatureMatrix

_TAKEN = 1
SCHEME: int = 1000 * _TAKEN + int(RMinHash.ALGORITHM_VERSION)
COLUMNS = 128
SHINGLE_WORDS = 5
# More than an item's text may have: only what NFKC makes many words of one is cut here.
_MOST_WORDS = 262_144
_SEED = 1
_WORD = re.compile(r"\w+")
_BREAK = re.compile(r"[\t\n -/:;?@]")
_PART = 8_192  # characters
# What a picture or a video shows is not in its text: a series often has one caption for all.
_TOLD_BY_TEXT = frozenset({ItemType.TEXT, ItemType.COMPOSITE})


def signature_of(item: Item) -> bytes:
    """The item's signature, COLUMNS values of two bytes; empty for an item that is not told by its
    text, or has none.
    """
    shingles = shingles_of(text_of(item)) if item.type in _TOLD_BY_TEXT else []
    if not shingles:
        return b""
    sketch = RMinHash(num_perm=COLUMNS, seed=_SEED)
    sketch.update(shingles)
    return np.array(sketch.digest(), np.uint32).astype("<u2").tobytes()


def as_rows(signatures: Iterable[bytes]) -> SignatureMatrix:
    """Signatures as uint16 [n, COLUMNS]."""
    values = np.frombuffer(b"".join(signatures), "<u2")
    return values.astype(np.uint16).reshape(-1, COLUMNS)


def text_of(item: Item) -> str:
    """What is compared: headline and body, or the description where there is no body."""
    return f"{item.headline}\n{item.body or item.description}"


def shingles_of(text: str) -> Sequence[str]:
    """Every SHINGLE_WORDS words in a row, case and punctuation aside. A text of fewer words is one
    shingle, so that it is the same as an equal one only.
    """
    words = list(islice(_words_of(text), _MOST_WORDS))
    if len(words) <= SHINGLE_WORDS:
        return [" ".join(words)] if words else []
    runs = (words[start:] for start in range(SHINGLE_WORDS))
    return [" ".join(run) for run in zip(*runs, strict=False)]


def _words_of(text: str) -> Iterator[str]:
    """The words in NFKC, in order. One letter may become eighteen, so no more of `text` is
    normalised than is asked for: a part of it up to a character at which a word ends and that no
    normal form joins to another one.
    """
    start = 0
    while start < len(text):
        end = _BREAK.search(text, start + _PART)
        part = text[start : end.end() if end else len(text)]
        yield from _WORD.findall(unicodedata.normalize("NFKC", part).casefold())
        start += len(part)
