"""The floor under an answer: which of its hits are strong, and which are only the nearest there is.

Vectors always find something. So each hit gets a chance of being relevant, from what can be
compared between queries: BM25 as a share of what the query's words could give, the cosine above the
query's background and against the hundredth of the nearest, the query's known names, and how much
of the query is words that the archive has: a name or a subject that no item has is a strong sign of
nothing. The chance is a logistic function of these; `dateline tune floor` learns it from judged
sets, and floor.json beside this file is what ships.

The list is cut behind the last hit whose chance is high enough, so the floor changes no order. What
asks for certain words or facts has no floor: quotes, operators, fields, filters, an order by date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from core.errors import InputError
from core.items import FloatMatrix
from core.query_tree import EVERYTHING, Bool, DateRange, Keyword, Node, constraint
from core.retrieval import Floats, Retrieval, Retrieved, SortOrder, VectorScores
from search.answers import Understood
from search.candidates import CandidateSet
from search.ranking import Weighed

SHIPPED = Path(__file__).with_name("floor.json")
FORMAT = 1
FEATURES = (
    "share",
    "above",
    "near",
    "names",
    "best share",
    "best above",
    "length",
    "length and best share",
    "best share and above",
    "seen",
)
_FIRST_FEATURES = FEATURES[:9]  # the features of the first version
_LEAST_SPAN = 0.05  # least distance of cosines between the background and the last of the nearest
_MOST_NEAR = 6.0
_LEAST_BOUND = 1e-3
_LONG = 5.0  # makes the length of a long query about 1


@dataclass(frozen=True, slots=True)
class Floor:
    """What makes a hit strong: a chance of `least` or more, which is the logistic function of
    `bias` plus `weights` times FEATURES. `encoder` is the digest of the encoder whose cosines it
    was learned with; it says nothing of others.
    """

    encoder: str
    weights: tuple[float, ...]
    bias: float
    least: float

    def chances(self, found: Retrieved, names: Floats | None, field: str) -> Floats:
        """Return float32 [m]: each candidate's chance of being relevant, by its cosines in
        `field`.
        """
        part = next(part for part in found.vectors if part.field == field)
        return self.of_features(features(found, names, part))

    def of_features(self, rows: FloatMatrix) -> Floats:
        """Return float32 [m]: the chance by the FEATURES [m, k] of each candidate."""
        scores = np.clip(rows @ np.array(self.weights) + self.bias, -30, 30)
        chances: Floats = (1.0 / (1.0 + np.exp(-scores))).astype(np.float32)
        return chances

    def field_in(self, asked: Retrieval) -> str:
        """Return the vector field of the request whose encoder this is; "" without one."""
        return next((one.field for one in asked.vectors if one.encoder == self.encoder), "")

    def strong(self, chances: Floats) -> int:
        """Return how many of the first hits are strong; `chances` are in the order of the list."""
        high = np.flatnonzero(chances >= self.least)
        return int(high[-1]) + 1 if len(high) else 0


def has_floor(asked: Retrieval, filters: Node, said: Understood) -> bool:
    """Return whether the query only ranks: nothing in it narrows the answer. `filters` are those of
    the request; dates and kinds of item that were read from plain words are allowed.
    """
    if asked.order is not SortOrder.SCORE or filters != EVERYTHING or not asked.lexical_depth:
        return False
    own = all(_is_read(fact, said) for fact in _facts(asked.filters))
    return own and asked.query != EVERYTHING and constraint(asked.query) == EVERYTHING


def _facts(filters: Node) -> Iterator[Node]:
    """Yield the facts that must all hold."""
    if isinstance(filters, Bool) and not filters.should and not filters.must_not:
        for one in filters.must:
            yield from _facts(one)
    elif filters != EVERYTHING:
        yield filters


def _is_read(fact: Node, said: Understood) -> bool:
    """Return whether a fact was read from plain words."""
    match fact:
        case DateRange():
            return any(not span.ignored for span in said.dates)
        case Bool((), several, ()):
            return bool(several) and all(_is_read(one, said) for one in several)
        case Keyword("type", types):
            kinds = [span for span in said.kinds if not span.ignored]
            return types == tuple(str(one) for span in kinds for one in span.types)
        case _:
            return False


def with_floor(floor: Floor | None, weighed: Weighed, candidates: CandidateSet) -> CandidateSet:
    """Return the candidates with their chances, and how many of the first are strong: at least
    those that editors pinned and those that have the query as a value. Without a floor the
    candidates stay as they are.
    """
    evidence, found = weighed.evidence, weighed.found
    question = evidence.question
    field = "" if floor is None else floor.field_in(question.asked)
    if (
        floor is None
        or question.by_date
        or question.meaning.like is not None
        or question.request.text
        or not has_floor(question.asked, question.request.filters, question.meaning.said)
        or all(part.field != field for part in found.vectors)
    ):
        return candidates
    chances = floor.chances(found, evidence.names, field)[candidates.places]
    first = candidates.pinned + candidates.exact
    return replace(candidates, strong=max(first, floor.strong(chances)), chances=chances)


def features(found: Retrieved, names: Floats | None, part: VectorScores) -> FloatMatrix:
    """Return float32 [m, k]: the FEATURES of each candidate. `share` and `best share` are roots of
    shares of the BM25 that the query's words could give; `length` is the logarithm of that BM25,
    and `seen` the share of it of words that an allowed item has.
    """
    size = len(found.ids)
    bm25 = np.where(np.isfinite(found.bm25), np.maximum(found.bm25, 0), 0)
    bound = float(found.lexical_bound)
    share = np.sqrt(np.minimum(bm25 / max(bound, _LEAST_BOUND), 1.0))
    above = np.where(np.isfinite(part.cosines), part.cosines - part.background, 0)
    near = np.clip(above / _span(part), 0.0, _MOST_NEAR)
    held = np.zeros(size) if names is None else np.pad(names, (0, size - len(names)))
    best, length = share.max(initial=0.0), np.log1p(max(bound, 0.0)) / _LONG
    seen = found.lexical_seen / max(bound, _LEAST_BOUND)
    query = [np.full(size, one) for one in (best, above.max(initial=0.0), length, length * best)]
    columns = [share, above, near, held, *query, best * above, np.full(size, seen)]
    matrix: FloatMatrix = np.stack(columns, axis=1).astype(np.float32)
    return matrix


def _span(part: VectorScores) -> float:
    """Return how far above the background the last of the nearest is."""
    nearest = part.cosines[part.ranks > 0]
    known = nearest[np.isfinite(nearest)]
    return max(float(known.min()) - part.background if len(known) else 0.0, _LEAST_SPAN)


@cache
def shipped_floor() -> Floor:
    """Return the floor in floor.json."""
    return read_floor(SHIPPED)


def read_floor(path: Path) -> Floor:
    """Return the floor in a file; a feature that it does not name has no weight, because an older
    version did not know it. Raises InputError for a file that `dateline tune floor` did not write.
    """
    mend = "write one with `dateline tune floor`, or leave the setting floor out"
    try:
        tree = orjson.loads(path.read_bytes())
        named = {str(name): float(weight) for name, weight in tree["weights"].items()}
        if tree["format"] != FORMAT or not {*_FIRST_FEATURES} <= {*named} <= {*FEATURES}:
            raise InputError("it is of another version", where=str(path), mend=mend)
        weights = tuple(named.get(name, 0.0) for name in FEATURES)
        found = Floor(str(tree["encoder"]), weights, float(tree["bias"]), float(tree["least"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"no floor can be read: {error}", where=str(path), mend=mend) from error
    if not np.isfinite([*found.weights, found.bias, found.least]).all():
        raise InputError("it has values that are not numbers", where=str(path), mend=mend)
    return found


def floor_json(floor: Floor, learned_from: Sequence[str]) -> bytes:
    """Return the content of a floor's file. `learned_from` has the names of the judged sets that
    the floor was learned from.
    """
    tree: dict[str, Any] = {
        "format": FORMAT,
        "encoder": floor.encoder,
        "learned_from": list(learned_from),
        "least": round(floor.least, 6),
        "bias": round(floor.bias, 6),
        "weights": {
            name: round(weight, 6) for name, weight in zip(FEATURES, floor.weights, strict=True)
        },
    }
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n"
