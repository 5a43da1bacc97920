"""Why ten hits of OpenSearch's `hybrid` query are not ours: the same candidates by other rules.

`hybrid` scales each list from its last score (0) to its best (1), and a candidate that a list lacks
gets 0 there. We scale BM25 from 0 and cosines from the corpus's mean, and a candidate of one list
gets its exact cosine. `list` is the rule of `hybrid` over our own candidates, at several weights of
BM25. If `list` at our weights finds the hits of `hybrid`, the rule alone makes the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.retrieval import Ids, Retrieved
from search.profiles import Fusion, Profile
from search.ranking import fuse, ranking

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)  # of BM25, of 1


@dataclass(slots=True)
class Agreement:
    """The share of the first hits of one list that another has too, of each query."""

    shares: dict[str, list[float]] = field(default_factory=dict)

    def note(
        self,
        found: Retrieved,
        profile: Profile,
        uris_of: Callable[[Ids], Sequence[str]],
        ours: Sequence[str],
        theirs: Sequence[str],
    ) -> None:
        """Order the candidates in `found` by the rule of `theirs`, and compare the result with the
        lists `ours` and `theirs`, both best first. `found` has the weight of the one vector field.
        """
        (vectors,) = found.vectors
        for weight in WEIGHTS:
            relative = vectors.weight * weight / (1 - weight)
            listed = replace(profile, fusion=Fusion.LIST, lexical_weight=relative)
            order = ranking(fuse(found, listed).scores, found.ids)[: len(ours)]
            uris = uris_of(found.ids[order])
            self._share(f"list at {weight} of BM25, of ours", uris, ours)
            self._share(f"list at {weight} of BM25, of hybrid's", uris, theirs)

    def _share(self, name: str, some: Sequence[str], wanted: Sequence[str]) -> None:
        both = {*some} & {*wanted}
        self.shares.setdefault(name, []).append(len(both) / max(1, len(wanted)))

    def figures(self) -> dict[str, float]:
        """Return the mean over the queries."""
        return {name: float(np.mean(each)) for name, each in self.shares.items()}
