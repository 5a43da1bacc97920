"""The floor under an answer: which of its hits are strong, and which are only the nearest there is.

Vectors always find something. So each hit gets a chance of being relevant, from what can be
compared between queries: BM25 as a share of what the query's words could give; for each encoder the
cosine above the query's background, and that background, which says how near the query is to
anything in the archive; the query's known names; how much of the query is words that the archive
has; and whether the query names somebody whom the archive does not know. The chance is a logistic
function of these. `dateline tune floor` learns it from judged sets, for one encoder or for several;
floor.json beside this file is what ships.

The list is cut behind the last hit whose chance is high enough, so the floor changes no order. What
asks for certain words or facts has no floor: quotes, operators, fields, filters, an order by date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from core.entities import NAME_FIELDS
from core.errors import InputError
from core.items import FloatMatrix
from core.query_tree import (
    EVERYTHING,
    Bool,
    DateRange,
    Keyword,
    Node,
    constraint,
    scored_words,
)
from core.retrieval import Floats, Ids, Retrieval, Retrieved, SortOrder, VectorScores
from search.answers import Understood, types_of
from search.candidates import CandidateSet
from search.ranking import Weighed

SHIPPED = Path(__file__).with_name("floor.json")
FORMAT = 2
_FORMER_FORMAT = 1  # one floor, for one encoder
_SAID = ("share", "names", "best share", "words", "words and best share", "seen", "strangers")
_OF_ENCODER = ("above", "best above", "background", "lead")
_FORMER = ("near", "length", "length and best share", "best share and above")  # only read
_LEAST_SPAN = 0.05  # least distance of cosines between the background and the last of the nearest
_MOST_NEAR = 6.0
_LEAST_BOUND = 1e-3
_LONG = 5.0  # makes the length of a long query about 1
_MANY = 3.0  # makes `words` of a query of twenty words about 1


def feature_names(encoders: int) -> tuple[str, ...]:
    """Return the names of the features from which a floor for so many encoders is learned. Names of
    the second encoder's features end in 2.
    """
    ends = ("", *(f" {number}" for number in range(2, encoders + 1)))
    return (*_SAID, *(f"{name}{end}" for end in ends for name in _OF_ENCODER))


@dataclass(frozen=True, slots=True)
class Floor:
    """What makes a hit strong: a chance of `least` or more, which is the logistic function of
    `bias` plus `weights` times the features. `encoders` are the digests of the encoders whose
    cosines it was learned with, in that order; it says nothing of others. `weights` are those of
    `feature_names`; behind them are those of features that only a former version learned, if it
    wrote this floor.
    """

    encoders: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float
    least: float

    @property
    def is_former(self) -> bool:
        """Whether a former version wrote it, which learned from more features."""
        return len(self.weights) > len(feature_names(len(self.encoders)))

    def of_features(self, rows: FloatMatrix) -> Floats:
        """Return float32 [m]: the chance by the features [m, k] of each candidate."""
        scores = rows @ np.array(self.weights) + self.bias
        chances: Floats = (1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30)))).astype(np.float32)
        return chances

    def strong(self, chances: Floats) -> int:
        """Return how many of the first hits are strong; `chances` are in the order of the list."""
        high = np.flatnonzero(chances >= self.least)
        return int(high[-1]) + 1 if len(high) else 0


@dataclass(frozen=True, slots=True)
class FloorInput:
    """What a floor reads of one query: the ids of its stories as they are served, best first, the
    digests of the encoders that were asked, and the features float32 [m, k] of each story, None
    for a query without a floor.
    """

    ids: Ids
    encoders: tuple[str, ...]
    features: FloatMatrix | None
    degraded: tuple[str, ...]


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
            return types == types_of(said.kinds)
        case _:
            return False


def with_floor(floors: Sequence[Floor], weighed: Weighed, candidates: CandidateSet) -> CandidateSet:
    """Return the candidates with their chances, and how many of the first are strong: at least
    those that editors pinned and those that have the query as a value. If no floor is for the
    encoders that took part, the candidates stay as they are.
    """
    asked = _encoders(weighed)
    known = [floor for floor in floors if {*floor.encoders} <= {*asked}]
    if not known or not _ranks_only(weighed):
        return candidates
    floor = max(known, key=lambda one: len(one.encoders))
    parts = [asked[digest] for digest in floor.encoders]
    rows = _features(weighed, parts, former=floor.is_former)
    chances = floor.of_features(rows)[candidates.places]
    first = candidates.pinned + candidates.exact
    return replace(candidates, strong=max(first, floor.strong(chances)), chances=chances)


def floor_input(weighed: Weighed, candidates: CandidateSet) -> FloorInput:
    """Return what a floor for all encoders that took part would read."""
    asked = _encoders(weighed)
    rows = None
    if asked and _ranks_only(weighed):
        rows = _features(weighed, [*asked.values()])[candidates.places]
    return FloorInput(candidates.ids, tuple(asked), rows, candidates.degraded)


def _encoders(weighed: Weighed) -> dict[str, VectorScores]:
    """Return what each encoder found that took part, by its digest."""
    found = {part.field: part for part in weighed.found.vectors}
    asked = weighed.evidence.question.asked.vectors
    return {one.encoder: found[one.field] for one in asked if one.field in found}


def _ranks_only(weighed: Weighed) -> bool:
    """Return whether nothing in the question narrows the answer."""
    question = weighed.evidence.question
    if question.by_date or question.meaning.like is not None or question.request.text:
        return False
    return has_floor(question.asked, question.request.filters, question.meaning.said)


def _features(
    weighed: Weighed, parts: Sequence[VectorScores], *, former: bool = False
) -> FloatMatrix:
    question = weighed.evidence.question
    count = sum(1 for _ in scored_words(question.asked.query))
    strange = any(
        name.known is None and name.label in NAME_FIELDS for name in question.meaning.said.entities
    )
    found, names = weighed.found, weighed.evidence.names
    return features(found, names, parts, count, strange=strange, former=former)


def features(
    found: Retrieved,
    names: Floats | None,
    parts: Sequence[VectorScores],
    words: int,
    *,
    strange: bool,
    former: bool = False,
) -> FloatMatrix:
    """Return float32 [m, k]: the features of each candidate, by the cosines in `parts`. `words` is
    the number of the query's words; `strange` says whether it names somebody or something that the
    archive does not know.

    `share` and `best share` are roots of shares of the BM25 that the query's words could give;
    `seen` is the share of it of words that an allowed item has, and `strangers` the rest of it if
    there is such a name. `lead` is the best cosine above the background, against that of the last
    of the nearest. `former` adds the features that only a former version learned.
    """
    size, bound = len(found.ids), max(float(found.lexical_bound), _LEAST_BOUND)
    bm25 = np.where(np.isfinite(found.bm25), np.maximum(found.bm25, 0), 0)
    share = np.sqrt(np.minimum(bm25 / bound, 1.0))
    held = np.zeros(size) if names is None else np.pad(names, (0, size - len(names)))
    best, seen, many = share.max(initial=0.0), found.lexical_seen / bound, np.log1p(words) / _MANY
    said = [best, many, many * best, seen, (1.0 - seen) if strange else 0.0]
    columns = [share, held, *(np.full(size, one) for one in said)]
    for part in parts:
        above = _above(part)
        lead = above.max(initial=0.0) / _span(part)
        query = (above.max(initial=0.0), part.background, min(lead, _MOST_NEAR))
        columns += [above, *(np.full(size, one) for one in query)]
    columns += _former(found, best, parts[0]) if former else ()
    matrix: FloatMatrix = np.stack(columns, axis=1).astype(np.float32)
    return matrix


def _former(found: Retrieved, best: float, part: VectorScores) -> list[Floats]:
    """Return the features that only a former version learned, for its files."""
    above, length = _above(part), np.log1p(max(float(found.lexical_bound), 0.0)) / _LONG
    near = np.clip(above / _span(part), 0.0, _MOST_NEAR)
    query = (length, length * best, best * above.max(initial=0.0))
    return [near, *(np.full(len(near), one) for one in query)]


def _above(part: VectorScores) -> Floats:
    return np.where(np.isfinite(part.cosines), part.cosines - part.background, 0)


def _span(part: VectorScores) -> float:
    """Return how far above the background the last of the nearest is."""
    nearest = part.cosines[part.ranks > 0]
    known = nearest[np.isfinite(nearest)]
    return max(float(known.min()) - part.background if len(known) else 0.0, _LEAST_SPAN)


@cache
def shipped_floors() -> tuple[Floor, ...]:
    """Return the floors in floor.json."""
    return read_floors(SHIPPED)


def read_floors(path: Path) -> tuple[Floor, ...]:
    """Return the floors in a file. Raises InputError for a file that `dateline tune floor` did not
    write.
    """
    mend = "write one with `dateline tune floor`, or leave the setting floor out"
    try:
        return tuple(map(_read, _trees(orjson.loads(path.read_bytes()))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"no floor can be read: {error}", where=str(path), mend=mend) from error


def _trees(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return each floor of a file; a file of the former format has one."""
    if tree["format"] == _FORMER_FORMAT:
        return [{**tree, "encoders": [tree["encoder"]]}]
    if tree["format"] != FORMAT:
        raise ValueError("it is of another version")
    return list(tree["floors"])


def _read(tree: Mapping[str, Any]) -> Floor:
    """Return a floor; a feature that it does not name has no weight, because the version that wrote
    it did not know it. Raises ValueError.
    """
    encoders = tuple(str(one) for one in tree["encoders"])
    named = {str(name): float(weight) for name, weight in tree["weights"].items()}
    columns = feature_names(len(encoders))
    if not {*named}.isdisjoint(_FORMER):
        columns += _FORMER
    if not encoders or not {"share", "above"} <= {*named} <= {*columns}:
        raise ValueError("it has other features than this version knows")
    weights = tuple(named.get(name, 0.0) for name in columns)
    floor = Floor(encoders, weights, float(tree["bias"]), float(tree["least"]))
    if not np.isfinite([*floor.weights, floor.bias, floor.least]).all():
        raise ValueError("it has values that are not numbers")
    return floor


def floor_json(floor: Floor, learned_from: Sequence[str], before: bytes = b"") -> bytes:
    """Return the content of a floor's file. `learned_from` has the names of the judged sets that
    the floor was learned from; floors for other encoders in the content `before` are kept.
    """
    kept = [one for one in _kept(before) if tuple(one["encoders"]) != floor.encoders]
    names = feature_names(len(floor.encoders))
    tree: dict[str, Any] = {
        "encoders": list(floor.encoders),
        "learned_from": list(learned_from),
        "least": round(floor.least, 6),
        "bias": round(floor.bias, 6),
        "weights": {
            name: round(weight, 6)
            for name, weight in zip(names, floor.weights, strict=False)  # without former ones
        },
    }
    return (
        orjson.dumps({"format": FORMAT, "floors": [*kept, tree]}, option=orjson.OPT_INDENT_2)
        + b"\n"
    )


def _kept(before: bytes) -> list[Mapping[str, Any]]:
    try:
        return _trees(orjson.loads(before))
    except (ValueError, KeyError, TypeError):
        return []
