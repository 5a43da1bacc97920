"""Query and passage as one row of tokens, cut to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.texts.tokens import CHARACTERS_PER_TOKEN, TextTokens, well_formed

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

LEAST_TOKENS = 8  # limit of a pair: a smaller one leaves no room for both texts
QUERY_SHARE = 3  # a query has at most a third of the room: what is ranked is the passage


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair's token numbers, special ones included. `segments` has 0 for each token of the query
    and 1 for each of the passage (all 0 if the architecture has no segments). `cut` says whether
    the passage lost its end, `query_cut` whether the query did.
    """

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    cut: bool
    query_cut: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class PairTokens:
    """A tokenizer that puts pairs into rows of at most `max_tokens`. Thread-safe."""

    tokenizer: Tokenizer
    max_tokens: int
    special: int

    @classmethod
    def open(cls, folder: ModelFolder) -> PairTokens:
        """Return the pair tokenizer of a folder. Raises ModelError if it can't be read or joins no
        pairs.
        """
        tokens = TextTokens.open(folder)
        special = tokens.tokenizer.num_special_tokens_to_add(True)
        if special < 2:
            what = "the tokenizer puts nothing between two texts"
            raise ModelError(what, where=str(folder.path), mend="scorers need one that joins pairs")
        return cls(tokens.tokenizer, tokens.max_tokens, special)

    def limit(self, tokens: int | None) -> int:
        """Return the tokens that a pair may have where `tokens` are asked for."""
        return min(self.max_tokens, max(tokens, LEAST_TOKENS) if tokens else self.max_tokens)

    def rows(
        self, queries: Sequence[str], passages: Sequence[str], *, tokens: int | None = None
    ) -> list[PairRow]:
        """Return a row for each pair (queries[i], passages[i]). Each distinct query is read
        once.
        """
        room = self.limit(tokens) - self.special
        asked = self._queries(queries, room)
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        found = self.tokenizer.encode_batch_fast(
            [well_formed(passage[:longest]) for passage in passages], add_special_tokens=False
        )
        rows = []
        for query, passage, encoding in zip(queries, passages, found, strict=True):
            first, query_cut = asked[query]
            left = room - len(first)
            cut = len(encoding) > left or len(passage) > longest
            encoding.truncate(left)
            both = self.tokenizer.post_process(first, encoding)
            rows.append(PairRow(tuple(both.ids), tuple(both.type_ids), cut, query_cut))
        return rows

    def _queries(self, queries: Sequence[str], room: int) -> dict[str, tuple[Encoding, bool]]:
        """Return each distinct query's tokens, without special ones, and whether it was cut."""
        most = room // QUERY_SHARE
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        found: dict[str, tuple[Encoding, bool]] = {}
        for query in dict.fromkeys(queries):
            encoding = self.tokenizer.encode(well_formed(query[:longest]), add_special_tokens=False)
            cut = len(encoding) > most or len(query) > longest
            encoding.truncate(most)
            found[query] = (encoding, cut)
        return found
