"""How much of a text a model reads, without running the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InputError
from core.ports.models import PairsReading, Reading, Token
from inference.models.store import ModelFolder
from inference.serving.batches import cut_texts
from inference.texts.pairs import PairTokens
from inference.texts.tokens import CHARACTERS_PER_TOKEN, TextTokens, well_formed

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

GROUP = 256  # texts whose tokens are held at once


@dataclass(frozen=True, slots=True)
class TokenMeter:
    """The TextMeter port over a model's tokenizer. Thread-safe.

    `max_tokens` is the most tokens that are read of a text; 0 is for a model that reads any length
    in windows. At most `max_characters` of a text are looked at. `pairs` is set for a model that
    reads a query and a passage together.
    """

    tokenizer: Tokenizer
    max_tokens: int
    max_characters: int
    query_prefix: str = ""
    passage_prefix: str = ""
    pairs: PairTokens | None = None

    @classmethod
    def open(cls, folder: ModelFolder, *, max_characters: int = 0) -> TokenMeter:
        """Return the meter of a model. `max_characters` is for a model that reads in windows, up to
        that length.

        Raises ModelError if the tokenizer can't be read.
        """
        manifest = folder.manifest
        tokenizer = TextTokens.open(folder).tokenizer
        if max_characters:
            return cls(tokenizer, 0, max_characters)
        return cls(
            tokenizer,
            manifest.max_tokens,
            manifest.max_tokens * CHARACTERS_PER_TOKEN,
            manifest.query_prefix,
            manifest.passage_prefix,
            PairTokens.open(folder) if manifest.task == "score" else None,
        )

    def measure(self, texts: Sequence[str], *, queries: bool = False) -> tuple[Reading, ...]:
        """Return what the model reads of each text alone, with its prefix."""
        prefix = self.query_prefix if queries else self.passage_prefix
        return self._readings([prefix + text for text in texts], self.max_tokens)

    def measure_pairs(
        self, query: str, passages: Sequence[str], *, limit: int | None = None
    ) -> PairsReading:
        """Return what the model reads of `query` and each passage. A model that reads them together
        is measured on both; `limit` is then of a pair, else of each text.
        """
        if self.pairs is None:
            most = min(limit or self.max_tokens, self.max_tokens)
            (asked,) = self._readings([query], most)
            return PairsReading(asked, self._readings(passages, most))
        readings: list[Reading] = []
        query_cut = False
        for group in cut_texts(passages, most=GROUP):
            some = passages[group]
            rows = self.pairs.rows([query] * len(some), some, tokens=limit)
            readings += [Reading(len(row), row.cut) for row in rows]
            query_cut = query_cut or any(row.query_cut for row in rows)
        return PairsReading(Reading(0, query_cut), tuple(readings))

    def cut(self, texts: Sequence[str], limit: int) -> tuple[str, ...]:
        """Return each text up to the end of its token number `limit`, without special ones."""
        return tuple(self._cut(text, limit) for text in texts)

    def tokens(
        self, texts: Sequence[str], *, special: bool = True
    ) -> tuple[tuple[Token, ...], ...]:
        """Return all tokens of each text, with the special ones around it or without."""
        clipped = [well_formed(text) for text in texts]
        found = self.tokenizer.encode_batch(clipped, add_special_tokens=special)
        pairs = zip(clipped, found, strict=True)
        return tuple(_tokens(text, encoding) for text, encoding in pairs)

    def text_of(self, numbers: Sequence[int], *, special: bool = False) -> str:
        """Return the text of token numbers, with special tokens or without. Raises InputError for
        a number that the vocabulary does not have.
        """
        size = self.tokenizer.get_vocab_size()
        if (greatest := max(numbers, default=0)) >= size:
            raise InputError(
                f"token number {greatest} is not in the model's vocabulary of {size}",
                mend="send the numbers of the model's own tokenizer, or send text",
            )
        return str(self.tokenizer.decode(list(numbers), skip_special_tokens=not special))

    def ending(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the end of each text that the model reads whole; a text that fits as it is."""
        room = self.max_tokens - self.tokenizer.num_special_tokens_to_add(False)
        return tuple(self._ending(text, room) for text in texts)

    def _ending(self, text: str, room: int) -> str:
        end = well_formed(text[-self.max_characters :])
        offsets = self.tokenizer.encode(end, add_special_tokens=False).offsets
        fits = len(end) == len(text) and len(offsets) <= room
        return text if fits else end[offsets[-min(room, len(offsets))][0] :] if offsets else ""

    def _readings(self, texts: Sequence[str], limit: int) -> tuple[Reading, ...]:
        readings: list[Reading] = []
        for group in cut_texts(texts, most=GROUP):
            some = texts[group]
            clipped = [well_formed(text[: self.max_characters]) for text in some]
            found = self.tokenizer.encode_batch_fast(clipped)
            readings += [
                Reading(
                    min(len(encoding), limit or len(encoding)),
                    len(text) > self.max_characters or bool(limit and len(encoding) > limit),
                )
                for encoding, text in zip(found, some, strict=True)
            ]
        return tuple(readings)

    def _cut(self, text: str, limit: int) -> str:
        encoding = self.tokenizer.encode(
            well_formed(text[: self.max_characters]), add_special_tokens=False
        )
        return text[: encoding.offsets[limit - 1][1]] if len(encoding) > limit else text


def _tokens(text: str, encoding: Encoding) -> tuple[Token, ...]:
    """Return the tokens of a text, each with the characters that it stands for."""
    parts = zip(
        encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
    )
    return tuple(
        Token(number, name if special else text[start:end], bool(special), start, end)
        for number, name, special, (start, end) in parts
    )
