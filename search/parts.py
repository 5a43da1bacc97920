"""The parts of the query path, which `dateline/build/service.py` puts together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.model_ports import TextAnalysis, TextEncoder
from core.ports import (
    Browser,
    Catalogue,
    Clock,
    Exemplars,
    Names,
    NearDuplicates,
    Retriever,
    Standings,
    Vocabulary,
)
from rerank.deadline import DeadlineReranker
from search.candidates import CandidateStore, KeptCandidates
from search.profiles import Profile
from search.ranking import utc_now
from search.understanding.editorial import Editorial, no_rules
from search.understanding.spelling import Doubt
from search.understanding.understand import Understanding


class Engine(
    Retriever, Browser, Catalogue, NearDuplicates, Names, Exemplars, Standings, Vocabulary, Protocol
):
    """What the query path needs of a storage engine."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a pipeline.

    `encoders` are by vector field; without a field's encoder, its part of the answer is left out
    and flagged. So is reranking without a `reranker`; `reranker_missing` says why a wanted one is
    not there. `editorial` returns the editors' rules in force. Without `doubt` no spelling is
    suggested. `candidates` keeps the lists behind cursors. `languages` are those that the encoder
    of a vector field reads, where that is known.
    """

    engine: Engine
    encoders: Mapping[str, TextEncoder]
    understanding: Understanding
    analysis: TextAnalysis
    profiles: Mapping[str, Profile]
    default_profile: str
    reranker: DeadlineReranker | None = None
    reranker_missing: str = ""
    clock: Clock = utc_now
    editorial: Callable[[], Editorial] = no_rules
    doubt: Doubt | None = None
    candidates: KeptCandidates = field(default_factory=CandidateStore)
    languages: Mapping[str, Collection[str]] = field(default_factory=dict)
