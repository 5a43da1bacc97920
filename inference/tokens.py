"""Texts to token numbers and padded arrays, with a count of what was cut off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from core.errors import ModelError
from inference.store import ModelFolder

# Text beyond this many characters for each token that fits is dropped unread, so that a
# megabyte costs no more than a page. English has 4 to 5 characters a token.
CHARACTERS_PER_TOKEN = 40


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The token numbers of each text, special tokens included, none longer than the limit.

    `truncated` is how many of the texts were longer and lost their end.
    """

    rows: tuple[tuple[int, ...], ...]
    truncated: int

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
    def open(cls, folder: ModelFolder) -> "TextTokens":
        """The folder's tokenizer, from checked bytes; raises ModelError if it can't be read."""
        manifest = folder.manifest
        try:
            tokenizer = Tokenizer.from_buffer(folder.read(manifest.tokenizer))
        except ValueError as error:
            where = str(folder.path / manifest.tokenizer)
            what = f"the tokenizer can't be read: {error}"
            raise ModelError(what, where=where, mend="make the model again") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, manifest.max_tokens)

    def rows(self, texts: Sequence[str], *, prefix: str = "") -> TokenRows:
        """Token numbers of each of `texts` with `prefix` before it."""
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        clipped = [well_formed((prefix + text)[:longest]) for text in texts]
        # One text skips the batch call, which would hand it to a thread pool and back.
        found = (
            [self.tokenizer.encode(clipped[0])]
            if len(clipped) == 1
            else self.tokenizer.encode_batch_fast(clipped)
        )
        rows = tuple(self._cut(encoding.ids) for encoding in found)
        truncated = sum(
            len(encoding) > self.max_tokens or len(prefix) + len(text) > longest
            for encoding, text in zip(found, texts, strict=True)
        )
        return TokenRows(rows, truncated)

    def encodings(self, texts: Sequence[str]) -> list[Encoding]:
        """Full encodings with character offsets and word numbers, not cut to the limit."""
        return self.tokenizer.encode_batch([well_formed(text) for text in texts])

    def _cut(self, ids: list[int]) -> tuple[int, ...]:
        """The first tokens that fit, and the closing special token."""
        if len(ids) <= self.max_tokens:
            return tuple(ids)
        return (*ids[: self.max_tokens - 1], ids[-1])


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which have no UTF-8 and no tokenizer takes, replaced by `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def padded(rows: Sequence[Sequence[int]]) -> dict[str, npt.NDArray[np.int32]]:
    """`input_ids` and `attention_mask`, int32 [n, t] for the longest row's t.

    Padding is 0 in both; the mask keeps the model from looking at it.
    """
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int32)
    mask = np.zeros((len(rows), width), dtype=np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}
