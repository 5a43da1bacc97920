"""The queries that won and lost most, with what each of the two systems showed for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.compare.pairing import Pair, checked_values
from eval.runs.measures import Grades, Qrels
from eval.runs.results import QueryRow

SHOWN = 10  # documents of each list


@dataclass(frozen=True, slots=True)
class Placed:
    """One document of a list. `grade` is None if nobody judged it or no judgements were given;
    `rank_elsewhere` is its rank in the other list (from 1), 0 if it is not there.
    """

    document: str
    grade: int | None
    rank_elsewhere: int


@dataclass(frozen=True, slots=True)
class Swing:
    """One query whose value changed: by `measure`, from `before` to `after`, with the first SHOWN
    documents of both lists.
    """

    system: str
    collection: str
    query_id: str
    text: str
    measure: str
    before: float
    after: float
    baseline_documents: tuple[Placed, ...]
    documents: tuple[Placed, ...]

    @property
    def difference(self) -> float:
        """The change of the value, below 0 if it got worse."""
        return self.after - self.before


def swings(
    pairs: Sequence[Pair], measure: str, count: int, judgements: Mapping[str, Qrels]
) -> tuple[Swing, ...]:
    """Return the `count` queries that won most, best first, then the `count` that lost most, worst
    first. Equal ones go by collection and id; `judgements` are by the collection's label.
    """
    changed = [
        (float(difference), pair, place)
        for pair in pairs
        for place, difference in enumerate(pair.differences(measure))
        if difference
    ]
    changed.sort(key=lambda each: (each[1].label, each[1].other.rows[each[2]].query_id))
    won = sorted((each for each in changed if each[0] > 0), key=lambda each: -each[0])[:count]
    lost = sorted((each for each in changed if each[0] < 0), key=lambda each: each[0])[:count]
    return tuple(
        _swing(pair, place, measure, judgements.get(pair.label, {}))
        for _, pair, place in won + lost
    )


def _swing(pair: Pair, place: int, measure: str, qrels: Qrels) -> Swing:
    before, after = pair.baseline.rows[place], pair.other.rows[place]
    grades = qrels.get(after.query_id, {})
    return Swing(
        system=pair.other.system.name,
        collection=pair.label,
        query_id=after.query_id,
        text=after.text,
        measure=measure,
        before=float(checked_values(pair.baseline, measure)[place]),
        after=float(checked_values(pair.other, measure)[place]),
        baseline_documents=_placed(before, after, grades),
        documents=_placed(after, before, grades),
    )


def _placed(row: QueryRow, other: QueryRow, grades: Grades) -> tuple[Placed, ...]:
    ranks = {document: rank for rank, document in enumerate(other.documents, 1)}
    return tuple(
        Placed(document, grades.get(document), ranks.get(document, 0))
        for document in row.documents[:SHOWN]
    )
