"""Calls of the models by threads, batch and tokens, and the memory that each model takes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np

from capacity.measurements import QUANTILES, Calls
from core.errors import ModelError, SettingsError
from dateline.build.models.runtimes import open_encoder, open_scorer, open_tagger
from dateline.build.models.served import Models, load_models
from dateline.measuring.capacity.serving import sizes_of
from dateline.settings import Settings
from inference.measuring.machine import times
from inference.runtimes.loading import cores

SECONDS = 0.5  # for one kind of call
_EMBED = ((1, 32), (8, 32), (64, 32), (8, 128), (64, 128))  # texts of a call, tokens of each
_TAG = ((1, 16), (16, 16))
_RERANK = tuple((depth, tokens) for depth in (20, 100) for tokens in (48, 128))
_OPENERS: Mapping[str, Callable[[Settings, str], object]] = {
    "encoder": open_encoder,
    "second_encoder": open_encoder,
    "tagger": open_tagger,
    "reranker": open_scorer,
}
_WORDS = (
    *("news", "city", "week", "year", "team", "fire", "rain", "bank", "vote", "ship", "road"),
    *("game", "court", "train", "price", "storm"),
)


def model_calls(settings: Settings) -> tuple[Calls, ...]:
    """Measure the models that searches and texts need, on one thread and on all."""
    found: list[Calls] = []
    for threads in sorted({1, cores()}):
        models = load_models(settings.model_copy(update={"threads": threads}))
        found += [
            measured(what, _new_each_time(call, made), threads, batch, tokens)
            for what, batch, tokens, call, made in _kinds(models)
            if threads == 1 or batch > 8  # short calls keep one thread busy
        ]
    return tuple(found)


def _new_each_time(
    call: Callable[[Sequence[str]], object], made: Callable[[], Sequence[str]]
) -> Callable[[], object]:
    return lambda: call(made())


_Kind = tuple[str, int, int, Callable[[Sequence[str]], object], Callable[[], Sequence[str]]]


def _kinds(models: Models) -> Iterator[_Kind]:
    """Yield each kind of call: its name, texts, tokens of each, the call, and what makes texts."""
    chance = random.Random(1)  # noqa: S311  it only chooses words

    def made(batch: int, tokens: int) -> Callable[[], Sequence[str]]:
        return lambda: made_texts(batch, tokens, chance)

    for number, encoder in enumerate(models.encoders, start=1):
        yield f"encode {number}", 1, 16, encoder.encode_queries, made(1, 16)
        for batch, tokens in _EMBED:
            yield f"embed {number}", batch, tokens, encoder.encode_passages, made(batch, tokens)
    if models.tagger is not None:
        for batch, tokens in _TAG:
            yield "tag", batch, tokens, models.tagger.tag, made(batch, tokens)
    scorer = models.scorer
    if scorer is not None:
        for depth, tokens in _RERANK:

            def rerank(texts: Sequence[str]) -> object:
                return scorer.score(["ferry accident"] * len(texts), texts)

            yield "rerank", depth, tokens, rerank, made(depth, tokens)


def made_texts(batch: int, tokens: int, chance: random.Random) -> list[str]:
    """Return texts that nobody has asked yet, because what was asked is remembered. Each of these
    words is one token; a text has two more.
    """
    return [" ".join(chance.choices(_WORDS, k=tokens - 2)) for _ in range(batch)]


def measured(
    what: str,
    call: Callable[[], object],
    threads: int = 1,
    batch: int = 1,
    tokens: int = 1,
    *,
    peak: str = "int8",
) -> Calls:
    """Return how long a call takes, over half a second of calls after one that is not counted."""
    spans = np.array(times(call, SECONDS)) * 1000
    quantiles = tuple(round(float(np.quantile(spans, q)), 4) for q in QUANTILES)
    return Calls(what, threads, batch, tokens, quantiles, peak)


# --- memory


def model_memory(settings: Settings) -> dict[str, float]:
    """Return the bytes that each model takes once it has answered, each measured in a process of
    its own. A model that can't be loaded is left out.
    """
    named = {role: str(getattr(settings, role)) for role in _OPENERS}
    roles = {name: role for role, name in reversed(named.items()) if name}  # each model once
    found: dict[str, float] = {}
    for name, role in roles.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            try:
                size = child.submit(_taken, settings.as_bytes(), role, name).result()
            except BrokenProcessPool:
                continue  # the model did not fit in memory
        if size > 0:
            found[name] = size
    return found


def _taken(settings: bytes, role: str, name: str) -> float:
    """Return how many bytes a model takes in this process; 0 for one that can't be loaded."""
    before = sizes_of(os.getpid())[0]
    try:
        model = _OPENERS[role](Settings.of_bytes(settings), name)
    except (ModelError, SettingsError):
        return 0.0
    texts = made_texts(8, 64, random.Random(1))  # noqa: S311  it only chooses words
    for ask in ("encode_passages", "tag"):
        if (call := getattr(model, ask, None)) is not None:
            call(texts)
    if role == "reranker":
        model.score(["ferry accident"] * len(texts), texts)  # type: ignore[attr-defined]
    return sizes_of(os.getpid())[0] - before
