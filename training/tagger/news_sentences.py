"""Takes sentences out of pairs of queries and passages, for labels that a model gives them.

The pairs are the files NAME.jsonl.gz of `../shared/train`, with `query` and `positive`.
"""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from inference.texts.words import split_words

# How many sentences each source gives. Weights that learned from their texts may be given away.
FREE = {
    "wikinews_en": 1500,
    "digitalgov_news": 1500,
    "18f_blog": 700,
    "opensuse_news": 1000,
    "wice": 2500,
    "strategyqa": 3000,
    "foolmetwice": 4000,
}
DOUBTFUL = {"masakhanews_en": 3000, "allsides_news": 12_000}
_WITH_QUERIES = {"wikinews_en", "foolmetwice", "wice", "masakhanews_en", "allsides_news"}
_LEAST, _MOST = 4, 32  # words
_PAIRS_A_SENTENCE = 40  # read at most so many pairs for each sentence
# Abbreviations whose full stop ends no sentence.
_SHORT = """
Mr Mrs Ms Dr Sen Rep Gov Gen Lt Col Sgt Rev Hon Sens Reps St Jr Sr No Jan Feb Mar Apr Jun Jul Aug
Sept Sep Oct Nov Dec Inc Corp Co Ltd vs Calif Mass Ind Pa Va Fla Ga Ariz Minn Tenn Wash Mich Colo
Conn Ala Ark Ky La Md Mo Mont Nev Okla Ore Wis Wyo Del
"""
_ABBREVIATIONS = frozenset(_SHORT.split())
_QUOTES = frozenset("\"”'’)")


def news_sentences(
    folder: Path, counts: dict[str, int], chance: random.Random
) -> list[tuple[str, ...]]:
    """Return the words of about `counts` sentences of each source in `folder`, mixed."""
    found: list[tuple[str, ...]] = []
    for name, count in counts.items():
        mine = [
            tuple(words)
            for text in _texts(folder / f"{name}.jsonl.gz", count * _PAIRS_A_SENTENCE)
            for words in sentences(split_words(text))
            if _LEAST <= len(words) <= _MOST
        ]
        found += chance.sample(mine, min(count, len(mine)))
    chance.shuffle(found)
    return found


def sentences(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the sentences in the words of a text. A full stop after an abbreviation or an initial
    ends none; a closing quote belongs to the sentence before it.
    """
    start = 0
    for place, word in enumerate(words):
        before = words[place - 1] if place > start else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        if word == "." and (before in _ABBREVIATIONS or len(before) == 1):
            continue
        ends = word in (".", "!", "?") and after not in _QUOTES
        if ends or (word in ('"', "”") and before in (".", "!", "?")):
            yield words[start : place + 1]
            start = place + 1
    if start < len(words):
        yield words[start:]


def _texts(path: Path, most: int) -> Iterator[str]:
    """Yield the passages of a source, and the queries where these are news."""
    source = path.name.removesuffix(".jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for _, line in zip(range(most), lines, strict=False):
            row = json.loads(line)
            if source in _WITH_QUERIES:
                yield row["query"]
            yield row["positive"]
