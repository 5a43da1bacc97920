"""One judge at work: the pairs of a pool in their order, and the grades that this judge gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import InputError
from eval.judging.agreement import Agreement, agreement
from eval.judging.grades import Given, Grades
from eval.judging.pool import Pair, Pooled, to_grade
from eval.sets.about import read_about
from eval.sets.judged import JudgedSet

GUIDELINE = "guideline.md"
MEANINGS: Mapping[int, str] = {
    3: "It answers the query. Nothing else is needed.",
    2: "It is about what the query asks for, and answers a part of it.",
    1: "It is about the same subject, and does not answer the query.",
    0: "It has nothing to do with the query.",
}
USUAL = (
    "Think of a colleague who typed this query. What did they want to find?\n\n"
    "Judge only what you see here, and each document for itself: another document that says the "
    "same has the same grade. A name or a date in the query must be right. How well it is written "
    "does not count."
)


@dataclass(frozen=True, slots=True)
class Sitting:
    """What one judge is asked: `pairs` in order, the grades of `judge` and, if it `adjudicates`,
    those of the others, kept in `grades`. `meanings` says what each grade means.
    """

    judged: JudgedSet
    pairs: tuple[Pooled, ...]
    grades: Grades
    judge: str
    guideline: str
    meanings: Mapping[int, str]
    adjudicates: bool = False

    def mine(self) -> dict[Pair, int]:
        """Return the grades that this judge gave, by pair."""
        return self.grades.of(self.judge)

    def of_others(self, pair: Pair) -> tuple[int, ...]:
        """Return the grades of the others, sorted, without their names; () for one who judges
        alone.
        """
        lines = self.grades.all().get(pair, {}) if self.adjudicates else {}
        return tuple(sorted(t["grade"] for name, t in lines.items() if name != self.judge))

    def give(self, number: int, grade: int, note: str = "") -> None:
        """Keep this judge's grade of a pair. Raises InputError for a grade that is not one of the
        set's.
        """
        if grade not in self.meanings:
            known = ", ".join(map(str, sorted(self.meanings)))
            raise InputError(f"{grade} is no grade of this set", mend=f"give one of {known}")
        at, (query, document) = datetime.now(UTC), self.pairs[number].pair
        self.grades.put(Given(query, document, self.judge, grade, at, note, self.adjudicates))

    def take_back(self, number: int) -> None:
        """Forget this judge's grade of a pair."""
        self.grades.take_back(self.pairs[number].pair, self.judge)

    def agreement(self) -> Agreement:
        """Return how far all judges of the set agree, adjudicators left out."""
        return agreement(independent(self.grades).values())


def sit(
    judged: JudgedSet,
    folder: Path,
    pool: Sequence[Pooled],
    judge: str,
    overlap: float = 0.0,
    *,
    adjudicates: bool = False,
) -> Sitting:
    """Return what a judge is asked in a folder. One who `adjudicates` is asked only for pairs whose
    judges differ; the others for pairs that nobody else graded, and the share `overlap` of the
    rest. Raises InputError and DocumentError.
    """
    kept = Grades(folder)
    if adjudicates:
        differ = {pair for pair, given in independent(kept).items() if len(set(given)) > 1}
        chosen = [each for each in pool if each.pair in differ]
        pairs = to_grade(chosen, judged.queries, (), 0.0)
    else:
        others = {pair for pair, lines in kept.all().items() if lines.keys() - {judge}}
        pairs = to_grade(pool, judged.queries, others, overlap)
    guideline, meanings = scale_of(folder)
    return Sitting(judged, pairs, kept, judge, guideline, meanings, adjudicates)


def scale_of(folder: Path) -> tuple[str, Mapping[int, str]]:
    """Return the guideline of a folder, and what each of its grades means. Raises InputError and
    DocumentError.
    """
    text = folder / GUIDELINE
    guideline = text.read_text("utf-8") if text.is_file() else USUAL
    allowed = sorted(read_about(folder).grades or MEANINGS)
    return guideline, {grade: MEANINGS.get(grade, "") for grade in allowed}


def independent(grades: Grades) -> dict[Pair, tuple[int, ...]]:
    """Return the grades that judges gave without seeing those of others, by pair."""
    return {
        pair: tuple(tree["grade"] for tree in lines.values() if not tree.get("adjudicates"))
        for pair, lines in grades.all().items()
    }


def taken_over(judged: JudgedSet, judge: str) -> Iterable[Given]:
    """Yield the grades of a set that does not say who gave them, as those of `judge`."""
    at = datetime.now(UTC)
    for query, graded in judged.qrels.items():
        for document, grade in graded.items():
            yield Given(query, document, judge, grade, at)
