"""Profiles: named ways to rank. What is served by name is what is evaluated by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from core.errors import QueryError

HYBRID_DEPTH = 400  # each lexical candidate gets its exact cosine, which costs about 1 us


class Fusion(StrEnum):
    """How scores become one: convex combination of bounded scores or, to compare with, of scores
    that are min-max over each retriever's list; or reciprocal ranks.
    """

    CONVEX = "convex"
    LIST = "list"
    RRF = "rrf"


@dataclass(frozen=True, slots=True)
class Profile:
    """`lexical_weight` and `vector_weights` (by field) are relative; 0 leaves a retriever out.
    Depths are items per retriever and don't depend on the page. `rerank_depth` of the best are
    reranked and mixed at `rerank_weight` (0: no rerank); `rerank_tokens` are the most that are read
    of a query and a passage together (0: what the model can). `entity_boost` is the weight of known
    names beside the retrievers' 1 in all (0: names are only echoed). What is
    `recency_half_life_days` old keeps half of its score above the share `recency_floor` (0 days:
    age plays no part).
    """

    name: str
    lexical_weight: float = 0.5
    vector_weights: Mapping[str, float] = field(default_factory=dict)
    fusion: Fusion = Fusion.CONVEX
    lexical_depth: int = 1000
    vector_depth: int = 100
    rerank_depth: int = 0
    rerank_weight: float = 0.0
    rerank_tokens: int = 0
    entity_boost: float = 0.0
    deadline_ms: float = 500.0
    recency_half_life_days: float = 0.0
    recency_floor: float = 0.5

    @property
    def is_hybrid(self) -> bool:
        """Whether both kinds of retriever have a weight."""
        return self.lexical_weight > 0 and sum(self.vector_weights.values()) > 0

    def with_lexical_weight(self, weight: float) -> Profile:
        """A hybrid profile with BM25 at `weight` of 1; the vector fields share the rest as they
        shared it before.
        """
        whole = sum(self.vector_weights.values())
        vectors = {name: old * (1 - weight) / whole for name, old in self.vector_weights.items()}
        return replace(self, lexical_weight=weight, vector_weights=vectors)


def standard_profiles(fields: tuple[str, ...]) -> dict[str, Profile]:
    """The profiles that ship, over the index's vector `fields` at equal shares."""
    share = 0.5 / max(1, len(fields))
    vectors = dict.fromkeys(fields, share)
    hybrid = Profile("hybrid", 0.5, vectors, lexical_depth=HYBRID_DEPTH)
    return {
        "hybrid": hybrid,
        "lexical": Profile("lexical", 1.0, {}),
        "vector": Profile("vector", 0.0, vectors),
        "hybrid-rrf": replace(hybrid, name="hybrid-rrf", fusion=Fusion.RRF),
        "breaking": replace(hybrid, name="breaking", recency_half_life_days=1.0),
        "hybrid-rerank": replace(
            hybrid,
            name="hybrid-rerank",
            rerank_depth=20,
            rerank_weight=0.5,
            rerank_tokens=128,
            deadline_ms=1000.0,
        ),
    }


def profile_named(profiles: Mapping[str, Profile], name: str) -> Profile:
    """Raises QueryError for a name that is none."""
    try:
        return profiles[name]
    except KeyError:
        known = ", ".join(profiles)
        raise QueryError(f"there is no profile {name!r}", mend=f"one of {known}") from None
