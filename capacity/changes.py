"""Demands that differ from the asked one in one thing, for when no mix of machines holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from capacity.demand import Demand
from capacity.measurements import Measurements
from capacity.service_model import constant

_RERANKS = "-rerank"
_DEADLINES = (0.85, 0.75, 0.6, 0.45)  # of the demand's p95: the rest is for what follows
_LEAST_DEADLINE = 50.0  # the least of the setting `rerank_deadline_ms`
_TARGETS = (20, 50, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000)


@dataclass(frozen=True, slots=True)
class Change:
    """A demand that differs from the asked one in one thing, and the name of that thing."""

    what: str
    demand: Demand


def changes(demand: Demand, measured: Measurements) -> Iterator[tuple[Change, ...]]:
    """Yield what could be changed; of several values of one change the best comes first."""
    if demand.engine not in ("", "any") or demand.remote != "any":
        yield (Change("any engine, models anywhere", replace(demand, engine="any", remote="any")),)
    if demand.profile.endswith(_RERANKS):
        yield from _of_reranking(demand, measured)
    targets = [float(ms) for ms in _TARGETS if ms > demand.p95_ms]
    yield tuple(Change(f"a p95 of {ms:g} ms", replace(demand, p95_ms=ms)) for ms in targets)
    if demand.engine == "any":
        yield tuple(
            Change(f"a p95 of {ms:g} ms, embedded", replace(demand, p95_ms=ms, engine="embedded"))
            for ms in targets
        )


def _of_reranking(demand: Demand, measured: Measurements) -> Iterator[tuple[Change, ...]]:
    deadlines = (round(demand.p95_ms * share) for share in _DEADLINES)
    yield tuple(
        Change(f"a deadline of {ms} ms (rerank_deadline_ms)", replace(demand, deadline_ms=ms))
        for ms in deadlines
        if ms >= _LEAST_DEADLINE
    )
    tokens = int(measured.settings.get("rerank_tokens", "0")) // 2
    share = _of_tokens(measured, tokens)
    if share:
        what = f"reranking by {tokens} tokens (rerank_tokens)"
        yield (Change(what, replace(demand, rerank=demand.rerank * share)),)
    small = constant("small_reranker").high
    what = "a reranker of 6 layers (reranker), which you train"
    yield (Change(what, replace(demand, rerank=demand.rerank * small)),)
    plain = demand.profile.removesuffix(_RERANKS)
    if any(each.profile == plain for each in measured.searches):
        yield (Change(f"{plain}, without reranking", replace(demand, profile=plain)),)


def _of_tokens(measured: Measurements, tokens: int) -> float:
    """Return what reranking by so many tokens takes of that by twice as many, by a straight line
    between two measured lengths; 0 if they were not measured.
    """
    found = sorted(
        (c for c in measured.calls if (c.what, c.threads) == ("rerank", 1) and c.batch == 20),
        key=lambda each: each.tokens,
    )
    if tokens <= 0 or len(found) < 2:
        return 0.0
    short, long = found[0], found[-1]
    slope = (long.mean - short.mean) / (long.tokens - short.tokens)
    at = [short.mean + slope * (n - short.tokens) for n in (tokens, 2 * tokens)]
    return at[0] / at[1] if at[0] > 0 else 0.0
