from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from core.callers import OPERATOR, Caller
from core.items import FloatMatrix, Item
from core.writes import Outcome, PutItem, SetStatus, Written
from indexing.ingest import Ingest
from indexing.passages import PassageEmbedder, PassageSplitter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOW


class HashingEncoder:
    """Deterministic vectors from a hash of each text; remembers what it was asked to encode."""

    name = "hashing"
    digest = "hashing-8"
    dimension = 8

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        self.texts.extend(texts)
        rows = [
            np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) for text in texts
        ]
        matrix = np.stack(rows).astype(np.float32) + 1
        normed: FloatMatrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return normed


_CONTENT = ("source", "caption", "caption_by", "shots")  # with it, all else that counts differs


class DictWriter:
    """A record of truth in a dict: what the embedded engine promises, without a disk."""

    def __init__(self) -> None:
        self.versions: dict[str, dict[int, PutItem]] = {}
        self.batches: list[tuple[PutItem, ...]] = []

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        self.batches.append(tuple(writes))
        return tuple(self._put(write) for write in writes)

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        return tuple(self._set_status(change) for change in changes)

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        changing = (Outcome.CREATED, Outcome.SUPERSEDED, Outcome.UPDATED)
        return tuple(self._outcome(item) in changing for item in items)

    def newest(self, uri: str) -> PutItem:
        versions = self.versions[uri]
        return versions[max(versions)]

    def _outcome(self, item: Item) -> Outcome:
        versions = self.versions.get(item.uri, {})
        if not versions:
            return Outcome.CREATED
        newest = max(versions)
        if item.version != newest:
            return Outcome.STALE if item.version < newest else Outcome.SUPERSEDED
        recorded = versions[newest].item
        if any(getattr(recorded, name) != getattr(item, name) for name in _CONTENT):
            return Outcome.CONFLICT
        return Outcome.UNCHANGED if recorded.products == item.products else Outcome.UPDATED

    def _set_status(self, change: SetStatus) -> Written:
        if change.uri not in self.versions:
            return Written(change.uri, 0, Outcome.MISSING)
        write = self.newest(change.uri)
        embargoed = None if change.lift_embargo else change.embargoed or write.item.embargoed
        status = change.pubstatus or write.item.pubstatus
        item = replace(write.item, pubstatus=status, embargoed=embargoed)
        self.versions[item.uri][item.version] = replace(write, item=item)
        return Written(item.uri, item.version, Outcome.UPDATED)

    def _put(self, write: PutItem) -> Written:
        item = write.item
        outcome = self._outcome(item)
        if outcome in (Outcome.CREATED, Outcome.SUPERSEDED, Outcome.UPDATED):
            self.versions.setdefault(item.uri, {})[item.version] = write
        return Written(item.uri, item.version, outcome, known=self._is_known(item, outcome))

    def _is_known(self, item: Item, outcome: Outcome) -> bool:
        recorded = self.versions[item.uri].get(item.version)
        return outcome is Outcome.STALE and recorded is not None and recorded.item == item


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece tokenizer of the same make as the encoder's, which knows letters and endings."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()"
    words = ["the", "market", "said", "rose", "fell", "bank", "minister", "harbour", "ships"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    tokenizer = Tokenizer(WordPiece({w: n for n, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(128)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def splitter(tokenizer_file: Path) -> PassageSplitter:
    return PassageSplitter(tokenizer_file)


@pytest.fixture
def encoder() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture
def writer() -> DictWriter:
    return DictWriter()


@pytest.fixture
def ingest(writer: DictWriter, splitter: PassageSplitter, encoder: HashingEncoder) -> Ingest:
    return Ingest(writer, PassageEmbedder(splitter, [("text", encoder)]), clock)


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes documents (or raw lines) as JSON Lines, gzipped where the name ends in .gz."""

    def write(*documents: dict[str, Any] | bytes, name: str = "wire.jsonl") -> Path:
        lines = [d if isinstance(d, bytes) else json.dumps(d).encode() for d in documents]
        data = b"".join(line + b"\n" for line in lines)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of datasets and contracts that lies beside the repository."""
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(os.environ.get("DATELINE_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared folder at {folder}; set DATELINE_SHARED")
    return folder
