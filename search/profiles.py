"""Profiles: named ways to rank. A profile is served and evaluated by the same name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from core.errors import QueryError
from core.retrieval import FIELD_WEIGHTS, MACHINE_WEIGHT, MEDIA_WEIGHTS, LexicalWeights

BEST, MULTILINGUAL, PICTURES = "best", "multilingual", "pictures"
LOOKS = "looks"  # the vector field of pictures and the stills of shots
_BEST_NEEDS = (
    "set second_encoder (bge-small-en-v1.5, say; `dateline doctor` says whether it is slow here)"
)
_MULTILINGUAL_NEEDS = (
    "run `dateline models pull multilingual-e5-small-q4`, name it as second_encoder, then run "
    "`dateline embed`"
)
_PICTURES_NEED = (
    "set looks to a model that reads texts, such as clip-vit-base-patch32, and run `dateline embed`"
)
_FOREIGN_SHARE = 0.5
_LOOKS_SHARE = 0.25  # of a query's vectors for what pictures show, in the profile for that
_MANY_WEIGHT = 0.15  # of the encoder for many languages, where the first one reads the query
_SECOND_START = 0.5
HYBRID_DEPTH = 400  # each lexical candidate gets its exact cosine, which costs about 1 us


class Fusion(StrEnum):
    """How scores become one: CONVEX combines bounded scores; LIST, to compare with, combines scores
    that are min-max over each retriever's list; RRF adds reciprocal ranks.
    """

    CONVEX = "convex"
    LIST = "list"
    RRF = "rrf"


@dataclass(frozen=True, slots=True)
class Profile:
    """A named way to rank.

    `lexical_weight` and `vector_weights` (by field) are relative; 0 leaves a retriever out.
    `vector_starts` (by field) is where the scale of a field's cosines begins: that share of the way
    from the query's mean cosine to the list's best, 0 for a field that is not named. The depths are
    items per retriever and don't depend on the page. The best `rerank_depth` candidates
    are reranked and mixed at `rerank_weight` (0: no rerank); at most `rerank_tokens` of a query and
    a passage together are read (0: what the model can). `entity_boost` is the weight of known
    names, beside 1 for all retrievers together (0: names are only shown). An item that is
    `recency_half_life_days` old keeps half of its score above the share `recency_floor` (0 days:
    age plays no part). Of an item in another language than the query, BM25 keeps the share
    `foreign_share` of its weight; the vectors get the rest, and of those only
    `foreign_field` counts ("": all). Where an answer must be like a picture, `looks_weight` is the
    weight of what pictures show, relative to the others.

    Within BM25, the score over the whole item has the weight 1. `field_weights` are the weights of
    the scores of single text fields. `phrase_boost` is the weight of neighbouring words of the
    query that stand side by side, `proximity_boost` of those at most `proximity_slop` positions
    from that. `machine_weight` is that of a word in a machine's description of a picture or a shot,
    and `media_weights` are those of words that are found in media, and of the file's name.
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
    field_weights: Mapping[str, float] = field(default_factory=lambda: dict(FIELD_WEIGHTS))
    phrase_boost: float = 0.0
    proximity_boost: float = 0.0
    proximity_slop: int = 8
    machine_weight: float = MACHINE_WEIGHT
    media_weights: Mapping[str, float] = field(default_factory=lambda: dict(MEDIA_WEIGHTS))
    foreign_share: float = 1.0
    foreign_field: str = ""
    looks_weight: float = 1.0
    vector_starts: Mapping[str, float] = field(default_factory=dict)

    @property
    def lexical(self) -> LexicalWeights:
        """The weights within BM25."""
        return LexicalWeights(
            self.field_weights,
            self.phrase_boost,
            self.proximity_boost,
            self.proximity_slop,
            {"machine": self.machine_weight, **self.media_weights},
        )

    @property
    def is_hybrid(self) -> bool:
        """Whether both kinds of retriever have a weight above 0."""
        return self.lexical_weight > 0 and sum(self.vector_weights.values()) > 0

    def with_lexical_weight(self, weight: float) -> Profile:
        """Return a hybrid profile with BM25 at `weight` of 1; the vector fields share the rest in
        the same proportions as before.
        """
        whole = sum(self.vector_weights.values())
        vectors = {name: old * (1 - weight) / whole for name, old in self.vector_weights.items()}
        return replace(self, lexical_weight=weight, vector_weights=vectors)


def standard_profiles(
    fields: tuple[str, ...], many_languages: Collection[str] = (), *, pictures: bool = False
) -> dict[str, Profile]:
    """Return the profiles that ship, over the first of the index's vector `fields`. With several
    fields there is also `best`, over all fields at equal shares. If one of them is among
    `many_languages`, for its encoder reads many, there is `multilingual`. If a model for `pictures`
    reads texts, there is a profile of that name, over texts and what pictures show.
    """
    vectors = dict.fromkeys(fields[:1], 0.5)
    hybrid = Profile("hybrid", 0.5, vectors, lexical_depth=HYBRID_DEPTH)
    found = {
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
    if pictures:
        found[PICTURES] = replace(
            hybrid.with_lexical_weight(0.5 - _LOOKS_SHARE / 2),
            name=PICTURES,
            vector_weights={fields[0]: 0.5 - _LOOKS_SHARE / 2, LOOKS: _LOOKS_SHARE},
        )
    if len(fields) > 1:
        every = dict.fromkeys(fields, 0.5 / len(fields))
        english = [name for name in fields[1:] if name not in many_languages]
        starts = dict.fromkeys(english, _SECOND_START)
        found[BEST] = replace(hybrid, name=BEST, vector_weights=every, vector_starts=starts)
        if not {*many_languages}.isdisjoint(fields):
            rest = len(fields) - 1
            found[MULTILINGUAL] = replace(
                found[BEST],
                name=MULTILINGUAL,
                vector_weights=dict.fromkeys(fields, _MANY_WEIGHT / rest)
                | {fields[0]: 0.5 - _MANY_WEIGHT},
                foreign_share=_FOREIGN_SHARE,
                foreign_field=next(name for name in fields if name in many_languages),
            )
    return found


def profile_named(profiles: Mapping[str, Profile], name: str) -> Profile:
    """Return the profile of that name. Raises QueryError for an unknown name."""
    try:
        return profiles[name]
    except KeyError:
        what, mend = no_such_profile(name, profiles)
        raise QueryError(what, mend=mend) from None


def no_such_profile(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return the message for a profile that is not among those `known` here, and how to mend it."""
    others = f"one of {', '.join(known)}"
    if name == BEST:
        what = "there is no profile 'best' without a second vector field"
        return what, f"{_BEST_NEEDS}; or take {others}"
    if name == MULTILINGUAL:
        what = "there is no profile 'multilingual' without an encoder for many languages"
        return what, f"{_MULTILINGUAL_NEEDS}; or take {others}"
    if name == PICTURES:
        what = "there is no profile 'pictures' without a model for pictures that reads texts"
        return what, f"{_PICTURES_NEED}; or take {others}"
    return f"there is no profile {name!r}", others
