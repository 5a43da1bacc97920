"""The settings of fusion and reranking: the grid of values to try, and how far each setting is from
the one in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from math import isfinite

from core.errors import InputError
from search.profiles import Fusion, Profile
from search.ranking import BOUND_SHARE

Value = float | int | str
MOST = 20_000


@dataclass(frozen=True, slots=True)
class FusionSetting:
    """One point of the grid.

    The vectors have the weight 1 - `lexical_weight`; of it the second field has the share
    `second_share` (0 with one field), the first one the rest. The second's scale begins at
    `second_start` (`Profile.vector_starts`). `bound_share` is a share of BM25's
    supremum (`search.ranking`), for the convex fusion alone. `entity_boost` stands beside the
    retrievers' 1. A `rerank_weight` of 0 reranks nothing.
    """

    lexical_weight: float
    fusion: str
    bound_share: float
    entity_boost: float
    rerank_depth: int
    rerank_weight: float
    second_share: float = 0.0
    second_start: float = 0.0

    @classmethod
    def of(cls, profile: Profile) -> FusionSetting:
        """Return the setting of a hybrid profile. Raises InputError for a profile of one retriever,
        and for one of more than two vector fields.
        """
        if not profile.is_hybrid:
            raise InputError(
                f"profile {profile.name} has one retriever, so there is nothing to weigh",
                mend="tune a hybrid profile",
            )
        vectors = [*profile.vector_weights.values()]
        if len(vectors) > 2:
            raise InputError(
                f"profile {profile.name} has {len(vectors)} vector fields", mend="tune one or two"
            )
        whole = profile.lexical_weight + sum(vectors)
        return cls(
            profile.lexical_weight / whole,
            profile.fusion.value,
            BOUND_SHARE,
            profile.entity_boost,
            profile.rerank_depth,
            profile.rerank_weight,
            vectors[1] / sum(vectors) if len(vectors) > 1 else 0.0,
            profile.vector_starts.get([*profile.vector_weights][-1], 0.0),
        )

    def applied(self, profile: Profile) -> Profile:
        """Return the profile with this setting; `bound_share` is not part of a profile."""
        shares = (1 - self.second_share, self.second_share)
        vectors = dict(zip(profile.vector_weights, shares, strict=False))
        second = [*profile.vector_weights][1:] if self.second_start else []
        starts = dict.fromkeys(second, self.second_start)
        weighed = replace(profile, vector_weights=vectors, vector_starts=starts)
        return replace(
            weighed.with_lexical_weight(self.lexical_weight),
            fusion=Fusion(self.fusion),
            entity_boost=self.entity_boost,
            rerank_depth=self.rerank_depth,
            rerank_weight=self.rerank_weight,
        )

    def without_rerank(self) -> FusionSetting:
        """Return the setting without reranking."""
        return replace(self, rerank_depth=0, rerank_weight=0.0)

    def as_dict(self) -> dict[str, Value]:
        """Return it as values for JSON."""
        return asdict(self)

    def words(self, names: Sequence[str]) -> str:
        """Return `name value` for each of the parameters `names`."""
        return ", ".join(
            f"{name} {getattr(self, name):g}" for name in names if name != "fusion"
        ) + (f", {self.fusion}" if "fusion" in names else "")


GRID: Mapping[str, tuple[Value, ...]] = {
    "lexical_weight": (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8),
    "fusion": tuple(kind.value for kind in Fusion),
    "bound_share": (0.0, 0.05, 0.1, 0.2, 0.4),
    "entity_boost": (0.0, 0.05, 0.1, 0.2, 0.4),
    "rerank_depth": (20, 30, 50, 100),
    "rerank_weight": (0.0, 0.2, 0.3, 0.4, 0.5, 0.6),
    "second_share": (0.0, 0.25, 0.5, 0.75, 1.0),
    "second_start": (0.0, 0.2, 0.3, 0.4, 0.5, 0.6),
}
RERANK = ("rerank_depth", "rerank_weight")
SECOND = ("second_share", "second_start")
PARAMETERS = tuple(field.name for field in fields(FusionSetting))
_LIMITS = {
    "lexical_weight": (0.01, 0.99),
    "bound_share": (0.0, 1.0),
    "entity_boost": (0.0, 10.0),
    "rerank_depth": (1.0, 100.0),
    "rerank_weight": (0.0, 1.0),
    "second_share": (0.0, 1.0),
    "second_start": (0.0, 0.99),
}


def read_parameters(texts: Sequence[str], *, rerank: bool) -> dict[str, tuple[Value, ...]]:
    """Return the values to try, by parameter, from texts `NAME` or `NAME=VALUE,VALUE`. Raises
    InputError.

    Without `texts` they are those of reranking if `rerank` is set, else all others. Fusion is
    chosen first, because the reranker has to read what a new fusion puts on top.
    """
    possible = [name for name in PARAMETERS if rerank or name not in RERANK]
    usual = RERANK if rerank else possible
    found: dict[str, tuple[Value, ...]] = {}
    for text in texts or usual:
        name, given, values = (part.strip() for part in text.partition("="))
        if name not in possible:
            mend = f"one of {', '.join(possible)}" + ("" if rerank else "; --rerank has more")
            raise InputError(f"there is no parameter {name!r} to tune", mend=mend)
        found[name] = tuple(_value(name, v) for v in values.split(",")) if given else GRID[name]
    return found


def grid(shipped: FusionSetting, values: Mapping[str, Sequence[Value]]) -> list[FusionSetting]:
    """Return every combination of `values`, each once, `shipped` first; parameters without values
    stay as in `shipped`. Raises InputError for more than MOST.
    """
    names = tuple(values)
    axes = [tuple(dict.fromkeys((getattr(shipped, name), *values[name]))) for name in names]
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MOST:
        raise InputError(
            f"{count:,} settings are too many", mend=f"name fewer values: at most {MOST:,} settings"
        )
    found = (replace(shipped, **dict(zip(names, point, strict=True))) for point in product(*axes))
    return list(dict.fromkeys(_canonical(setting, shipped) for setting in found))


def distance(setting: FusionSetting, shipped: FusionSetting) -> float:
    """Return the distance from `shipped`: the sum of the parameters' differences, each as a share
    of its grid's width, plus 1 for another fusion.
    """
    total = float(setting.fusion != shipped.fusion)
    for name, (low, high) in _widths().items():
        total += abs(getattr(setting, name) - getattr(shipped, name)) / (high - low)
    return total


def _widths() -> dict[str, tuple[float, float]]:
    numbers = {name: [float(v) for v in GRID[name]] for name in PARAMETERS if name != "fusion"}
    return {name: (min(values), max(values)) for name, values in numbers.items()}


def _canonical(setting: FusionSetting, shipped: FusionSetting) -> FusionSetting:
    """Return the setting with parameters that have no effect set to the shipped values, so that
    equal settings are one.
    """
    if setting.fusion != Fusion.CONVEX.value:
        same = shipped.bound_share, shipped.second_start
        setting = replace(setting, bound_share=same[0], second_start=same[1])
    if setting.rerank_weight == 0:
        setting = replace(setting, rerank_depth=shipped.rerank_depth)
    return setting


def _value(name: str, text: str) -> Value:
    if name == "fusion":
        kinds = [kind.value for kind in Fusion]
        if text.strip() not in kinds:
            raise InputError(f"there is no fusion {text!r}", mend=f"one of {', '.join(kinds)}")
        return text.strip()
    low, high = _LIMITS[name]
    try:
        number = int(text) if name == "rerank_depth" else float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or not low <= number <= high:
        raise InputError(
            f"{name}: {text!r} does not fit", mend=f"a number from {low:g} to {high:g}"
        )
    return number
