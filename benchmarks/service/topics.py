"""Followed topics: what it takes to find the topics that new stories match.

    python -m benchmarks.service.topics [FOLDER] [--topics N ...] [--stories N] [--batch N]
    [--brute N]

The stories are Reuters', in batches. The topics are made of the words of other stories of Reuters:
two or three words that must occur, a phrase, alternatives, a word without another, a subject with a
word, the beginning of a word, and a span of time. The last, one topic in twenty, has no term to be
chosen by, and is always asked. `ms a story` is the time of a batch by the number of its stories,
its index in memory included, when every topic is filed and those asked have been compiled once.
Each topic is also asked of the first `--brute` batches without any choice: `missed` counts what
that found more.
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import orjson

from benchmarks.machine import REUTERS, arguments, peak_memory_mb, percentile, show, this_machine
from core.items import Concept, Item, ItemType
from core.query_tree import Bool, DateRange, Keyword, Node, Phrase, Prefix, Word
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import MEDIA_TOPICS, Topics, read_topics

_DAY = datetime(2026, 3, 1, tzinfo=UTC)
_WORDS = re.compile(r"[A-Za-z]{3,}")


def main() -> None:
    """Print milliseconds a story by number of topics, by choice and by brute force."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS, help="a judged set")
    parser.add_argument("--topics", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--stories", type=int, default=500)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--brute", type=int, default=1, help="batches to ask every topic of")
    asked = parser.parse_args()
    machine, chance = this_machine(), random.Random(7)
    vocabulary = read_topics(MEDIA_TOPICS)
    texts = _texts(asked.folder)
    chance.shuffle(texts)
    batches = _batches(texts[: asked.stories], asked.batch, chance, vocabulary)
    others = texts[asked.stories :]
    figures: dict[str, float | int] = {}
    for count in asked.topics:
        topics = [_topic(chance, others, vocabulary) for _ in range(count)]
        figures |= _measured(topics, batches, asked.brute, vocabulary)
    figures["peak memory MB"] = peak_memory_mb()
    show(f"followed topics, batches of {asked.batch}", figures, machine, as_json=asked.json)


def _measured(
    topics: Sequence[Node], batches: Sequence[Sequence[Item]], brute: int, vocabulary: Topics
) -> dict[str, float | int]:
    percolator = Percolator(vocabulary, lambda: ("en",))
    chosen, started = TopicSet(percolator), perf_counter()
    chosen.change(dict(enumerate(topics)))
    filing = perf_counter() - started
    chosen.matching(
        [item for batch in batches for item in batch]
    )  # compiles everything that is asked
    times: list[float] = []
    matches = missed = 0
    bare: list[float] = []
    for place, batch in enumerate(batches):
        started = perf_counter()
        found = chosen.matching(batch)
        times.append((perf_counter() - started) / len(batch))
        matches += sum(map(len, found))
        if place < brute:
            started = perf_counter()
            every = percolator.matches(batch, topics)
            bare.append((perf_counter() - started) / len(batch))
            missed += int(every.sum()) - sum(map(len, found))
    one = [chosen.candidates(batch[:1]) for batch in batches]
    started = perf_counter()
    for batch in batches:
        chosen.matching(batch[:1])
    alone = (perf_counter() - started) / len(batches)
    name = f"{len(topics):,} topics"
    return {
        f"{name}: ms a story, p50": percentile(times, 50),
        f"{name}: ms a story, worst batch": percentile(times, 100),
        f"{name}: ms for a story alone": alone * 1000,
        f"{name}: brute force, ms a story": percentile(bare, 50) if bare else 0.0,
        f"{name}: missed": missed,
        f"{name}: asked for a story alone": sum(map(len, one)) / len(one),
        f"{name}: matches a story": matches / sum(map(len, batches)),
        f"{name}: s to file": filing,
    }


def _texts(folder: Path) -> list[tuple[str, str]]:
    with gzip.open(folder / "corpus.jsonl.gz") as lines:
        rows = [orjson.loads(line) for line in lines]
    return [(row.get("title", ""), row["text"]) for row in rows]


def _batches(
    texts: Sequence[tuple[str, str]], size: int, chance: random.Random, vocabulary: Topics
) -> list[list[Item]]:
    codes = list(vocabulary.broader)
    items = [
        Item(
            f"urn:{number}",
            1,
            ItemType.TEXT,
            _DAY,
            _DAY,
            f"urn:{number}",
            headline=title,
            body=text,
            subject=tuple(Concept("", f"medtop:{chance.choice(codes)}") for _ in range(3)),
            products=("wire",),
        )
        for number, (title, text) in enumerate(texts)
    ]
    return [items[start : start + size] for start in range(0, len(items), size)]


def _topic(chance: random.Random, texts: Sequence[tuple[str, str]], vocabulary: Topics) -> Node:
    """Return a topic of one story's words; one in twenty has no rarest term."""
    words: list[str] = []
    while len(words) < 4:
        words = _WORDS.findall(chance.choice(texts)[1])
    start = chance.randrange(len(words) - 3)
    first, second, third = (Word(word) for word in words[start : start + 3])
    other = Word(chance.choice(words))
    kind = chance.randrange(20)
    if kind < 6:
        return Bool(must=(first, other))
    if kind < 10:
        return Bool(must=(first, second, other))
    if kind < 13:
        return Phrase(" ".join(words[start : start + 2]))
    if kind < 15:
        return Bool(must=(other, Bool(should=(first, second, third))))
    if kind < 16:
        return Bool(should=(Phrase(" ".join(words[start : start + 3])), Bool(must=(first, other))))
    if kind < 17:
        return Bool(must=(first, second), must_not=(other,))
    if kind < 18:
        return Bool(must=(Keyword("subject", (chance.choice(list(vocabulary.broader)),)), other))
    if kind < 19:
        return Bool(must=(Prefix(other.text[:5]),))
    return Bool(must=(DateRange("versioncreated", _DAY, None),), must_not=(first, second))


if __name__ == "__main__":
    main()
