"""Models in another process or on another machine, behind the ports of local ones.

They speak what `dateline serve --models-only` serves: OpenAI's embeddings, Cohere's rerank, and our
tags. Texts go in requests of a limited size, and each text is asked for once. Answers are untrusted
input: their shape, their numbers and their norm are checked. A digest in a header of each answer
proves that it came from the same files, so that vectors of two spaces never mix. With
`remote-unverified` a service without that header is believed; its vectors then have a space of
their own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from core.entities import Entity, EntityLabel
from core.errors import ModelError
from core.items import FloatMatrix
from core.ports.models import NO_LIMITS, PassageScores, ScoreLimits, Told
from core.threads import Threads
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.serving.cache import AnswerCache
from inference.serving.remote_calls import DIGEST_HEADER, RemoteService
from inference.texts.tokens import TextTokens, surely_fits, well_formed

Names = tuple[Entity, ...]
_LABELS = frozenset(EntityLabel)


def by_index(entries: object, count: int) -> list[dict[str, Any]] | None:
    """Return the `count` objects in the order of their `index`; None unless each is there once."""
    if not isinstance(entries, list) or len(entries) != count:
        return None
    placed: dict[object, dict[str, Any]] = {
        entry["index"]: entry
        for entry in entries
        if isinstance(entry, dict) and type(entry.get("index")) is int
    }
    if set(placed) != set(range(count)):
        return None
    return [placed[index] for index in range(count)]


def vector_row(value: object) -> FloatMatrix:
    """Return a vector [d] from base64 of little-endian float32, or from a list of numbers."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    if not isinstance(value, list) or not all(is_real(number) for number in value):
        raise ValueError("neither numbers nor base64")
    with np.errstate(over="raise"):
        row: FloatMatrix = np.array(value, np.float64).astype(np.float32)
    return row


def is_real(value: object) -> bool:
    """Return whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def entities_of(found: object, text: str) -> Names:
    """Return the names of one text; raises where one is not at its place in the text, or
    overlaps.
    """
    if not isinstance(found, list):
        raise TypeError("no list")
    made: list[Entity] = []
    reached = 0
    for entry in found:
        start, end, score = entry["start"], entry["end"], entry["score"]
        if (
            type(start) is not int
            or type(end) is not int
            or not reached <= start < end <= len(text)
        ):
            raise ValueError("its place is outside of the text or before the last")
        if entry["text"] != text[start:end]:
            raise ValueError("it is not what stands there")
        if entry["label"] not in _LABELS or not is_real(score) or not 0 <= score <= 1:
            raise ValueError("its label or score is unknown")
        made.append(Entity(entry["text"], EntityLabel(entry["label"]), start, end, float(score)))
        reached = end
    return tuple(made)


GROUP_TEXTS = 64
GROUP_CHARACTERS = 100_000
Value = TypeVar("Value")


def groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield `texts` in order and well-formed, in requests of at most 64 texts and about 100,000
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
    """Return an answer for each text: the one that is kept, else one from `ask`, which gets each
    text once.
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
    """Return `ask` of each part, several at a time."""
    if len(parts) < 2 or threads < 2:
        return [ask(part) for part in parts]
    with Threads(min(threads, len(parts)), thread_name_prefix="remote") as workers:
        return list(workers.map(ask, parts))


QUERY_SECONDS = 2.0  # seconds that a search waits
BULK_SECONDS = 60.0  # for passages of an ingest, and if nobody waits at a page
CACHE_SIZE = 4096  # queries
_NORM_SLACK = 1e-2


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model of a service, by the manifest here. The digest of each answer is compared with
    its.
    """

    service: RemoteService
    manifest: ModelManifest

    @property
    def digest(self) -> str:
        """The manifest's digest where the service proves to run the same files, else one of its
        own.
        """
        if self.service.address.verified:
            return self.manifest.digest
        named = f"{self.service.address.url}\n{self.manifest.name}\n{self.manifest.digest}"
        return hashlib.sha256(named.encode()).hexdigest()

    def ask(self, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer's JSON object. Raises ModelError and UnavailableError."""
        answer, headers = self.service.post(
            path, {"model": self.manifest.name, **body}, seconds=seconds
        )
        if self.service.address.verified:
            self._prove(headers.get(DIGEST_HEADER, ""))
        if not isinstance(answer, dict):
            raise self.service.wrong("it is not a JSON object")
        return answer

    def _prove(self, told: str) -> None:
        if not told:
            raise self.service.wrong(
                f"it does not say which files it runs (no {DIGEST_HEADER}); "
                "remote-unverified:URL takes a service by its word"
            )
        if told != self.manifest.digest:
            raise self.service.wrong(
                f"its {self.manifest.name} has other files than ours "
                f"(digest {told[:12]}…, here {self.manifest.digest[:12]}…)"
            )


@dataclass(frozen=True, slots=True)
class RemotePort:
    """What the ports below have in common. Errors are ModelError, or UnavailableError where trying
    again may help. Thread-safe.
    """

    model: RemoteModel

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.manifest.name

    @property
    def digest(self) -> str:
        """Which files answer; of an encoder, the space that its vectors are in."""
        return self.model.digest

    def close(self) -> None:
        """Close the connections."""
        self.model.service.close()


@dataclass(frozen=True, slots=True)
class RemoteEncoder(RemotePort):
    """The TextEncoder port. `tokenizer_path` is the local copy, for cutting passages."""

    tokenizer_path: Path
    threads: int = 1
    cache: AnswerCache[FloatMatrix] = field(default_factory=lambda: AnswerCache(CACHE_SIZE))
    _tokens: list[TextTokens] = field(default_factory=list)  # opened by the first long query

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.model.manifest.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm; vectors of queries are kept for repeats."""

        def ask(unknown: Sequence[str]) -> Sequence[FloatMatrix]:
            prefix = self.model.manifest.query_prefix
            vectors = self._encode(unknown, "query", prefix, QUERY_SECONDS)
            return [row.copy() for row in vectors]  # a view would keep its whole batch

        rows = remembered(self.cache, texts, ask)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        return self._encode(texts, "passage", self.model.manifest.passage_prefix, BULK_SECONDS)

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """As `SentenceEncoder.truncated`, by the local tokenizer: no request is made."""
        manifest = self.model.manifest
        asked = [manifest.query_prefix + text for text in texts]
        return tuple(
            not surely_fits(text, manifest.max_tokens) and self._tokeniser().rows([text]).cut[0]
            for text in asked
        )

    def _tokeniser(self) -> TextTokens:
        if not self._tokens:
            manifest = self.model.manifest
            folder = self.tokenizer_path.parents[len(Path(manifest.tokenizer).parts) - 1]
            self._tokens.append(TextTokens.open(ModelFolder(folder, manifest)))
        return self._tokens[0]

    def _encode(self, texts: Sequence[str], kind: str, prefix: str, seconds: float) -> FloatMatrix:
        verified = self.model.service.address.verified

        def ask(group: Sequence[str]) -> FloatMatrix:
            if verified:
                body = {"input": group, "encoding_format": "base64", "input_type": kind}
            else:  # a service like OpenAI's has no kinds of input, so the prefix is added here
                body = {"input": [prefix + text for text in group], "encoding_format": "float"}
            answer = self.model.ask("/embeddings", body, seconds)
            return self._vectors(answer, len(group))

        parts = mapped(ask, list(groups(texts)), self.threads)
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), np.float32)

    def _vectors(self, answer: Mapping[str, Any], count: int) -> FloatMatrix:
        """Return the vectors [count, d] of an answer in the order of `index`."""
        wrong = self.model.service.wrong
        entries = by_index(answer.get("data"), count)
        if entries is None:
            raise wrong(f"it has not one vector for each of {count} texts")
        try:
            rows = [vector_row(entry.get("embedding")) for entry in entries]
        except (ValueError, TypeError, ArithmeticError) as error:
            raise wrong("a vector can't be read") from error
        for row in rows:
            if row.shape != (self.dimension,):
                raise wrong(f"a vector has {row.size} numbers, {self.name} has {self.dimension}")
        vectors = np.stack(rows)
        if not np.isfinite(vectors).all():
            raise wrong("a vector has a value that is not a number")
        return self._unit(vectors)

    def _unit(self, vectors: FloatMatrix) -> FloatMatrix:
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        if self.model.service.address.verified:
            if np.abs(norms - 1).max(initial=0.0) > _NORM_SLACK:
                raise self.model.service.wrong("a vector is not of unit norm")
            return vectors
        if norms.min(initial=1.0) < 1e-6:
            raise self.model.service.wrong("a vector is zero")
        scaled: FloatMatrix = (vectors / norms).astype(np.float32)
        return scaled


@dataclass(frozen=True, slots=True)
class RemoteScorer(RemotePort):
    """The PairScorer and BoundedScorer ports over `/rerank`.

    Scores are the model's own, which our services give beside the published `relevance_score`.
    """

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, 1] for the n pairs. Each distinct query takes one request or more.

        Raises ValueError if there are not as many queries as passages.
        """
        if len(queries) != len(passages):
            raise ValueError(f"{len(queries)} queries for {len(passages)} passages")
        scores = np.zeros((len(queries), 1), np.float32)
        places: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            places.setdefault(query, []).append(place)
        for query, rows in places.items():
            start = 0
            for group in groups([passages[row] for row in rows]):
                found = rows[start : start + len(group)]
                scores[found, 0], *_ = self._scores(query, group, BULK_SECONDS, None)
                start += len(group)
        return scores

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """Return the scores of `passages` within `limits`, as `core.ports.models.BoundedScorer`
        says.

        A request that is not answered by `limits.until` is given up. Without it every passage needs
        its score: what went wrong is raised.

        An `unverified` service knows no limit of tokens, so all is put to it.
        """
        scores = np.full((len(passages), 1), np.nan, np.float32)
        longest = self.model.manifest.max_tokens
        until, tokens = limits.until, limits.tokens
        limit = min(tokens or longest, longest)
        start, truncated, unread = 0, 0, False
        for group in groups(passages):
            left = BULK_SECONDS if until is None else min(QUERY_SECONDS, until - perf_counter())
            if left <= 0:
                break
            try:
                found, cut, query_cut = self._scores(query, group, left, tokens)
            except ModelError as error:
                if until is None:
                    raise
                return PassageScores(scores, truncated, limit, type(error).__name__, unread)
            scores[start : start + len(group), 0] = found
            start, truncated, unread = start + len(group), truncated + cut, unread or query_cut
            if told is not None:
                told(PassageScores(scores.copy(), truncated, limit, "", unread))
        return PassageScores(scores, truncated, limit, "", unread)

    def _scores(
        self, query: str, passages: Sequence[str], seconds: float, tokens: int | None
    ) -> tuple[list[Any], int, bool]:
        """Return a score for each passage, how many passages were cut, and whether the query
        was.
        """
        verified = self.model.service.address.verified
        body: dict[str, Any] = {"query": well_formed(query), "documents": passages}
        if tokens and verified:
            body["max_tokens_per_pair"] = tokens
        answer = self.model.ask("/rerank", body, seconds)
        entries = by_index(answer.get("results"), len(passages))
        if entries is None:
            raise self.model.service.wrong("it has not one score for each passage")
        member = "score" if verified else "relevance_score"
        found = [entry.get(member) for entry in entries]
        if not all(is_real(score) for score in found):
            raise self.model.service.wrong(f"a {member} is no number")
        meta = answer.get("meta")
        told = meta if isinstance(meta, dict) else {}
        cut = told.get("truncated")
        return found, len(cut) if isinstance(cut, list) else 0, told.get("query_truncated") is True


@dataclass(frozen=True, slots=True)
class RemoteTagger(RemotePort):
    """The Tagger port over `/tag`."""

    cache: AnswerCache[Names] = field(default_factory=lambda: AnswerCache(CACHE_SIZE))

    def tag(self, texts: Sequence[str]) -> tuple[Names, ...]:
        """Return the names in each text in reading order, none overlapping; answers are kept for
        repeats.
        """

        def ask(unknown: Sequence[str]) -> Sequence[Names]:
            return list(chain.from_iterable(self._tagged(group) for group in groups(unknown)))

        return tuple(remembered(self.cache, texts, ask))

    def _tagged(self, texts: Sequence[str]) -> list[Names]:
        results = self.model.ask("/tag", {"texts": texts}, QUERY_SECONDS).get("results")
        if not isinstance(results, list) or len(results) != len(texts):
            raise self.model.service.wrong(f"it has not one list for each of {len(texts)} texts")
        try:
            return [entities_of(found, text) for found, text in zip(results, texts, strict=True)]
        except (TypeError, ValueError, KeyError) as error:
            raise self.model.service.wrong(f"a name can't be right: {error}") from error
