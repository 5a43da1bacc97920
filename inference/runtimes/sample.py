"""Arrays of ordinary text, to compare runtimes on and to time them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from inference.runtime import Array, Runtime

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Arrays = dict[str, Array]
ROWS = 4  # texts of an ordinary batch: few enough that they differ in length


def ordinary_batches(
    tokenizer: Tokenizer, texts: Sequence[str], *, pairs: bool, longest: int, rows: int = ROWS
) -> list[Arrays]:
    """Return batches of `rows` of the `texts` in their order, padded: int64 [n, t], t at most
    `longest`.

    With `pairs` each text stands after a few words of the next one, as a scorer reads query and
    passage. Batches have `input_ids`, `attention_mask` and `token_type_ids`. Raises InputError if
    there is not text.
    """
    found = [_cut(encoding, longest) for encoding in _encoded(tokenizer, texts, pairs=pairs)]
    return [_padded(found[start : start + rows]) for start in range(0, len(found), rows)]


def full_batch(
    tokenizer: Tokenizer, texts: Sequence[str], *, pairs: bool, rows: int, tokens: int
) -> Arrays:
    """Return int64 [rows, tokens] without padding: each row is filled with texts one after the
    other.

    Raises InputError if there is not text.
    """
    found = _encoded(tokenizer, texts, pairs=pairs)
    lines = []
    for row in range(rows):
        ids: list[int] = []
        types: list[int] = []
        number = row
        while len(ids) < tokens:
            one = found[number % len(found)]
            ids += one.ids
            types += one.type_ids
            number += 1
        lines.append((ids[:tokens], types[:tokens]))
    return _padded(lines)


def narrowed(arrays: Mapping[str, Array], runtime: Runtime) -> Arrays:
    """Return those of `arrays` that the graph takes."""
    return {name: arrays[name] for name in runtime.inputs if name in arrays}


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], *, pairs: bool) -> list[Encoding]:
    """Return each text's tokens; with `pairs` after the first words of the next text."""
    if not texts:
        raise InputError("there is no text to measure on", mend="name a file with --texts")
    if not pairs:
        return tokenizer.encode_batch(list(texts))
    asked = [" ".join(text.split()[:6]) for text in (*texts[1:], texts[0])]
    return tokenizer.encode_batch(list(zip(asked, texts, strict=True)))


def _cut(encoding: Encoding, longest: int) -> tuple[list[int], list[int]]:
    """Return token numbers and types, the last token kept where the middle is cut out."""
    ids, types = encoding.ids, encoding.type_ids
    if len(ids) <= longest:
        return ids, types
    return [*ids[: longest - 1], ids[-1]], [*types[: longest - 1], types[-1]]


def _padded(rows: Sequence[tuple[list[int], list[int]]]) -> Arrays:
    width = max(len(ids) for ids, _ in rows)
    names = ("input_ids", "attention_mask", "token_type_ids")
    arrays: Arrays = {name: np.zeros((len(rows), width), np.int64) for name in names}
    for number, (ids, types) in enumerate(rows):
        arrays["input_ids"][number, : len(ids)] = ids
        arrays["attention_mask"][number, : len(ids)] = 1
        arrays["token_type_ids"][number, : len(ids)] = types
    return arrays
