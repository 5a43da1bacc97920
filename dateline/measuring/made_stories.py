"""Makes stories from others, for an archive of any size.

There is no free news archive of a million stories, so one is made from Reuters. Each story has half
of the sentences of each of two of the 19,043 stories, drawn at random, and one passage; its vector,
in each field of the archive, lies between those of its two parents, with noise added. Words keep
their frequencies and vectors their neighbourhoods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.ports.models import TextEncoder
from core.retrieval import Ids
from core.writes import PutItem
from dateline.build.engine import vector_fields
from dateline.build.service import Service

_SEED = 1987
_SECOND_PARENT, _NOISE = 0.6, 0.35  # weights, beside 1 for the first parent


@dataclass(frozen=True, slots=True)
class Space:
    """A vector field, the digest of its encoder, and a vector of each parent: float32 [n, d]."""

    field: str
    encoder: str
    vectors: FloatMatrix


@dataclass(frozen=True, slots=True)
class Parents:
    """The stories that the archive is made from, in each vector field."""

    items: tuple[Item, ...]
    sentences: tuple[tuple[str, ...], ...]
    spaces: tuple[Space, ...]


def parents_of(service: Service) -> Parents:
    """Return the stories of an archive that have a body."""
    items = tuple(item for item in service.engine.all_items() if item.body.strip())
    sentences = tuple(tuple(item.body.replace("\n", " ").split(". ")) for item in items)
    texts = [f"{item.headline}\n{item.body[:300]}" for item in items]
    spaces = [
        Space(name, encoder.digest, _encoded(encoder, texts))
        for name, encoder in vector_fields(service.models).items()
    ]
    return Parents(items, sentences, tuple(spaces))


def _encoded(encoder: TextEncoder, texts: Sequence[str]) -> FloatMatrix:
    parts = [encoder.encode_passages(texts[n : n + 512]) for n in range(0, len(texts), 512)]
    return np.concatenate(parts)


def made_stories(parents: Parents, first: int, size: int) -> Iterator[PutItem]:
    """Yield the stories from number `first` to `first + size`: the same in every run."""
    random = np.random.default_rng((_SEED, first))
    ones, others = random.integers(0, len(parents.items), (2, size))
    mixed = [_mixed(space.vectors, ones, others, random) for space in parents.spaces]
    for n, (one, other) in enumerate(zip(ones, others, strict=True)):
        drawn = [
            sentence
            for parent in (int(one), int(other))
            for sentence in parents.sentences[parent]
            if random.random() < 0.5
        ]
        uri = f"urn:made:{first + n}"
        body = ". ".join(drawn) or parents.items[int(one)].headline
        item = replace(parents.items[int(one)], uri=uri, chain=uri, body=body, source={})
        passages = (Passage("body", 0, len(body)),)
        vectors = (
            PassageVectors(space.field, space.encoder, passages, rows[n : n + 1])
            for space, rows in zip(parents.spaces, mixed, strict=True)
        )
        yield PutItem(item, tuple(vectors))


def _mixed(
    vectors: FloatMatrix, ones: Ids, others: Ids, random: np.random.Generator
) -> FloatMatrix:
    noise = random.standard_normal((len(ones), vectors.shape[1]), np.float32)
    noise *= _NOISE / np.sqrt(noise.shape[1])
    mixed: FloatMatrix = vectors[ones] + _SECOND_PARENT * vectors[others] + noise
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return mixed
