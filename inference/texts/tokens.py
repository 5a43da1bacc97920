"""Texts to token numbers and padded arrays, and how many texts were cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.models.store import ModelFolder

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# Text beyond this many characters for each token that fits is dropped unread, so that a
# megabyte costs no more than a page. English has 4 to 5 characters a token.
CHARACTERS_PER_TOKEN = 40
_MOST_OF_A_CHARACTER = 18  # tokens: what NFKC makes of U+FDFA; an ASCII character gives at most 1
_SPECIAL = 8  # tokens at most that stand around a text
TOKENIZERS_KEPT = 2  # most models of an archive have the same one
_PADDING = ("[PAD]", "<pad>")


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The token numbers of each text, special tokens included, none longer than the limit.

    `cut[i]` says whether text i was longer and lost its end.
    """

    rows: tuple[tuple[int, ...], ...]
    cut: tuple[bool, ...]

    @property
    def truncated(self) -> int:
        """How many of the texts lost their end."""
        return sum(self.cut)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(row) for row in self.rows]


@dataclass(frozen=True, slots=True)
class TextTokens:
    """A tokenizer with a length limit. Safe to use from several threads."""

    tokenizer: Tokenizer
    max_tokens: int

    @classmethod
    def open(cls, folder: ModelFolder) -> TextTokens:
        """Return the folder's tokenizer, from checked bytes; raises ModelError if it can't be
        read.
        """
        manifest = folder.manifest
        try:
            tokenizer = _tokenizer(folder.read(manifest.tokenizer))
        except ValueError as error:
            where = str(folder.path / manifest.tokenizer)
            what = f"the tokenizer can't be read: {error}"
            raise ModelError(what, where=where, mend="make the model again") from error
        return cls(tokenizer, manifest.max_tokens)

    @property
    def padding(self) -> int:
        """The number of the padding token, 0 if the tokenizer names none."""
        found = (self.tokenizer.token_to_id(name) for name in _PADDING)
        return next((number for number in found if number is not None), 0)

    def rows(self, texts: Sequence[str], *, prefix: str = "") -> TokenRows:
        """Return token numbers of each of `texts` with `prefix` before it."""
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        clipped = [well_formed((prefix + text)[:longest]) for text in texts]
        # One text skips the batch call, which would hand it to a thread pool and back.
        found = (
            [self.tokenizer.encode(clipped[0])]
            if len(clipped) == 1
            else self.tokenizer.encode_batch_fast(clipped)
        )
        rows = tuple(self._cut(encoding.ids) for encoding in found)
        cut = tuple(
            len(encoding) > self.max_tokens or len(prefix) + len(text) > longest
            for encoding, text in zip(found, texts, strict=True)
        )
        return TokenRows(rows, cut)

    def encodings(self, texts: Sequence[str]) -> list[Encoding]:
        """Return full encodings with character offsets and word numbers, not cut to the limit."""
        return self.tokenizer.encode_batch([well_formed(text) for text in texts])

    def _cut(self, ids: list[int]) -> tuple[int, ...]:
        """Return the first tokens that fit, and the closing special token."""
        if len(ids) <= self.max_tokens:
            return tuple(ids)
        return (*ids[: self.max_tokens - 1], ids[-1])


@lru_cache(maxsize=TOKENIZERS_KEPT)
def _tokenizer(content: bytes) -> Tokenizer:
    """Return the tokenizer of a file's bytes. Models with the same file share one: none changes it.

    Raises ValueError for a file that is not a tokenizer.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def surely_fits(text: str, max_tokens: int) -> bool:
    """Return whether `text` has at most `max_tokens` by any tokenizer, judging by its characters;
    False if they don't show it.
    """
    room = max_tokens - _SPECIAL
    if len(text) > room:
        return False
    others = 0 if text.isascii() else sum(not character.isascii() for character in text)
    return len(text) + (_MOST_OF_A_CHARACTER - 1) * others <= room


def well_formed(text: str) -> str:
    """Return `text` with `?` in place of lone surrogates, which have no UTF-8 and which no
    tokenizer takes.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def padded(
    rows: Sequence[Sequence[int]],
    *,
    segments: Sequence[Sequence[int]] | None = None,
    padding: int = 0,
) -> dict[str, npt.NDArray[np.int32]]:
    """Return `input_ids` and `attention_mask`, int32 [n, t] for the longest row's t, and
    `token_type_ids` if the rows' `segments` are given.

    Places after a row's end have `padding` for a token and 0 in the mask, so that the model ignores
    them.
    """
    if len(rows) == 1:  # a query: nothing is padded
        alone = np.array(rows, dtype=np.int32)
        mask = np.array([(1,) * alone.size], dtype=np.int32)
        arrays = {"input_ids": alone, "attention_mask": mask}
        if segments is not None:
            arrays["token_type_ids"] = np.array(segments, dtype=np.int32).reshape(alone.shape)
        return arrays
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), padding, dtype=np.int32)
    mask = np.zeros((len(rows), width), dtype=np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    arrays = {"input_ids": ids, "attention_mask": mask}
    if segments is not None:
        types = np.zeros((len(rows), width), dtype=np.int32)
        for number, row in enumerate(segments):
            types[number, : len(row)] = row
        arrays["token_type_ids"] = types
    return arrays
