"""Many texts in requests of a limited size; each text is asked for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.items import FloatMatrix
from inference.serving.cache import AnswerCache
from inference.texts.tokens import well_formed

GROUP_TEXTS = 64
GROUP_CHARACTERS = 100_000
Value = TypeVar("Value")


def groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """`texts` in order and well-formed, in requests of at most 64 texts and about 100,000
    characters.
    """
    group: list[str] = []
    size = 0
    for text in map(well_formed, texts):
        if group and (len(group) == GROUP_TEXTS or size + len(text) > GROUP_CHARACTERS):
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


def remembered(
    cache: AnswerCache[Value], texts: Sequence[str], ask: Callable[[Sequence[str]], Sequence[Value]]
) -> list[Value]:
    """An answer for each text: the one that is kept, else one from `ask`, which gets each text
    once.
    """
    answers: dict[str, Value] = {}
    unknown: list[str] = []
    for text in dict.fromkeys(texts):
        kept = cache.get(text)
        if kept is None:
            unknown.append(text)
        else:
            answers[text] = kept
    for text, answer in zip(unknown, ask(unknown) if unknown else (), strict=True):
        cache.put(text, answer)
        answers[text] = answer
    return [answers[text] for text in texts]


def mapped(
    ask: Callable[[Sequence[str]], FloatMatrix], parts: Sequence[Sequence[str]], threads: int
) -> list[FloatMatrix]:
    """`ask` of each part, several at a time."""
    if len(parts) < 2 or threads < 2:
        return [ask(part) for part in parts]
    with ThreadPoolExecutor(min(threads, len(parts)), thread_name_prefix="remote") as workers:
        return list(workers.map(ask, parts))
