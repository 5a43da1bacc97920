"""Items that are recorded without vectors get theirs, each once, whatever stops the work."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from core.errors import ModelError
from core.items import FloatMatrix, Item, ItemType, PassageVectors
from core.ports.models import PairsReading, Reading
from indexing.embedding import PART, Embedding, embed_lacking
from indexing.passages import PassageEmbedder, PassageSplitter
from storage.databases import open_database
from storage.work.parts import StoredParts
from tests.indexing.conftest import HashingEncoder

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class DictKeeper:
    """A VectorKeeper in dicts; ids are 1, 2, 3, ... with a gap at 4."""

    def __init__(self, count: int, fields: Sequence[str]) -> None:
        ids = [n for n in range(1, count + 2) if n != 4]
        texts = {n: "" if n == 3 else f"The bank rose {n}." for n in ids}
        self.items = {
            n: Item(f"u{n}", 1, ItemType.TEXT, NOW, NOW, f"u{n}", body=text)
            for n, text in texts.items()
        }
        self.vectors: dict[str, dict[int, PassageVectors]] = {field: {} for field in fields}

    def count_lacking(self, field: str) -> int:
        return len(self.items.keys() - self.vectors[field].keys())

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        ids = sorted(n for n in self.items if n > after and n not in {**self.vectors[field]})
        return {n: self.items[n] for n in ids[:limit]}

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        for n, entry in vectors.items():
            self.vectors[entry.field][n] = entry
        return len(vectors)


class Breaking(HashingEncoder):
    """An encoder that gives up at its third batch."""

    calls = 0

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        self.calls += 1
        if self.calls == 3:
            raise ModelError("the graph is broken")
        return super().encode_passages(texts)


def test_every_field_gets_what_it_lacks_and_nothing_else(splitter: PassageSplitter) -> None:
    keeper = DictKeeper(9, ["text", "second"])
    first, second = HashingEncoder(), HashingEncoder()
    embedders = {
        "text": PassageEmbedder(splitter, [("text", first)]),
        "second": PassageEmbedder(splitter, [("second", second)]),
    }
    embed_lacking(keeper, {"text": embedders["text"]}, lambda _: None)
    asked = len(first.texts)
    heard: list[Embedding] = []
    added = embed_lacking(keeper, embedders, heard.append, batch=4)
    assert added == {"text": 0, "second": 9}
    assert len(first.texts) == asked
    assert [(one.field, one.done, one.total) for one in heard] == [
        ("second", 4, 9),
        ("second", 8, 9),
        ("second", 9, 9),
    ]
    for n in keeper.items:
        text, second_ = keeper.vectors["text"][n], keeper.vectors["second"][n]
        assert text.passages == second_.passages
        assert np.array_equal(text.vectors, second_.vectors)
    assert keeper.vectors["second"][3].passages == ()  # no text: looked at, and done with


def test_what_stopped_goes_on_from_there(splitter: PassageSplitter) -> None:
    keeper = DictKeeper(10, ["second"])
    encoder = Breaking()
    embedders = {"second": PassageEmbedder(splitter, [("second", encoder)])}
    with pytest.raises(ModelError):
        embed_lacking(keeper, embedders, lambda _: None, batch=3)
    assert keeper.count_lacking("second") == 4
    assert embed_lacking(keeper, embedders, lambda _: None, batch=3) == {"second": 4}
    assert len(encoder.texts) == len(set(encoder.texts)) == 9  # one item has no text


def test_processes_share_the_parts_and_embed_none_twice(
    splitter: PassageSplitter, tmp_path: Path
) -> None:
    keeper = DictKeeper(5 * PART, ["text"])
    encoders = [HashingEncoder() for _ in range(3)]

    def embed(number: int) -> int:
        embedders = {"text": PassageEmbedder(splitter, [("text", encoders[number])])}
        parts = StoredParts(open_database(tmp_path / "parts.sqlite"))
        found = embed_lacking(keeper, embedders, lambda _: None, batch=500, parts=parts)
        parts.close()
        return found["text"]

    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(embed, range(3)))
    assert sum(added) == 5 * PART
    texts = [text for encoder in encoders for text in encoder.texts]
    assert len(texts) == len(set(texts)) == 5 * PART - 1  # one item has no text
    assert keeper.count_lacking("text") == 0


def test_what_a_failed_process_left_is_free_at_once(
    splitter: PassageSplitter, tmp_path: Path
) -> None:
    keeper = DictKeeper(10, ["second"])
    embedders = {"second": PassageEmbedder(splitter, [("second", Breaking())])}
    parts = StoredParts(open_database(tmp_path / "parts.sqlite"))
    with pytest.raises(ModelError):
        embed_lacking(keeper, embedders, lambda _: None, batch=3, parts=parts)
    assert parts.left("second") == 1
    assert embed_lacking(keeper, embedders, lambda _: None, parts=parts) == {"second": 4}
    assert parts.left("second") == 0
    parts.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
from storage.databases import open_database
from storage.work.parts import StoredParts
parts = StoredParts(open_database(Path(sys.argv[1])), lease_s=2.0)
parts.divide("text", range(3))
print(parts.lease("text"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.service
def test_the_part_of_a_killed_process_is_taken_by_another(
    splitter: PassageSplitter, tmp_path: Path
) -> None:
    file = tmp_path / "parts.sqlite"
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(file)], capture_output=True, check=False, text=True
    )
    assert (killed.returncode, killed.stdout.strip()) == (-signal.SIGKILL, "0")
    keeper = DictKeeper(2 * PART, ["text"])
    embedders = {"text": PassageEmbedder(splitter, [("text", HashingEncoder())])}
    parts = StoredParts(open_database(file))
    added = embed_lacking(keeper, embedders, lambda _: None, batch=500, parts=parts)
    assert added == {"text": 2 * PART}
    assert keeper.count_lacking("text") == parts.left("text") == 0
    parts.close()


def test_a_field_whose_encoder_counts_other_tokens_tells_what_it_cuts_off(
    tokenizer_file: Path, encoder: HashingEncoder
) -> None:
    class Meter:
        """Reads 40 characters of a text."""

        def measure(self, texts: Sequence[str], *, queries: bool = False) -> tuple[Reading, ...]:
            return tuple(Reading(min(len(text), 40), len(text) > 40) for text in texts)

        def measure_pairs(
            self, query: str, passages: Sequence[str], *, limit: int | None = None
        ) -> PairsReading:
            raise NotImplementedError

        def cut(self, texts: Sequence[str], limit: int) -> tuple[str, ...]:
            raise NotImplementedError

    splitter = PassageSplitter(tokenizer_file, capacity=12, overlap=2)
    fields = [("text", encoder), ("second", encoder)]
    short = Item("u", 1, ItemType.TEXT, NOW, NOW, "u", body="The bank rose.")
    long = Item("v", 1, ItemType.TEXT, NOW, NOW, "v", body="The minister said the bank rose. " * 4)
    found = PassageEmbedder(splitter, fields, {"second": Meter()}).embed([short, long])
    assert [entry.truncated for entry in found[0]] == [0, 0]
    by_first, by_second = found[1]
    sizes = [passage.end - passage.start for passage in by_second.passages]
    assert by_first.truncated == 0
    assert by_second.truncated == sum(size > 40 for size in sizes)


def test_an_encoder_of_short_texts_gets_shorter_passages(tokenizer_file: Path) -> None:
    item = Item("v", 1, ItemType.TEXT, NOW, NOW, "v", body="The minister said the bank rose. " * 40)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    for longest in (256, 128):
        (cut,) = PassageSplitter(tokenizer_file, max_tokens=longest).cut([item])
        assert max(len(tokenizer.encode(text).ids) for text in cut.texts) <= longest
        assert cut.truncated == 0
