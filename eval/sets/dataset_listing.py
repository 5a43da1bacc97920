"""Lists judged sets, their sizes, and what is doubtful about each. Nothing is searched.

A set that can't be read is a row with its error, so that a broken folder hides no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DatelineError, InputError
from eval.runs.slices import sizes, slices_of
from eval.sets import ir_sets
from eval.sets.converted import Said, silent
from eval.sets.datasets import is_judged_folder, parse_name, read_judged_set, splits_of
from eval.sets.judged import JudgedSet

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Listed:
    """One split of one set. `least`, `mean` and `most` are judgements per query; `slices` counts
    the queries by facet and value. If `error` is set, the rest was not read.
    """

    name: str
    place: str
    split: str = ""
    title: str = ""
    documents: int = 0
    queries: int = 0
    least: int = 0
    mean: float = 0.0
    most: int = 0
    grades: tuple[int, ...] = ()
    languages: tuple[str, ...] = ()
    licence: str = ""
    judges: int = 0
    agreement: float | None = None
    corpus_sha256: str = ""
    judgements_sha256: str = ""
    slices: tuple[tuple[str, str, int], ...] = ()
    doubts: tuple[str, ...] = ()
    error: str = ""

    @property
    def label(self) -> str:
        """The label `name:split`."""
        return f"{self.name}:{self.split}" if self.split else self.name

    def as_dict(self) -> dict[str, Any]:
        """Return the row, ready for JSON; what was not stated is null."""
        if self.error:
            return {"name": self.name, "place": self.place, "split": self.split or None} | {
                "error": self.error
            }
        return {
            "name": self.name,
            "place": self.place,
            "split": self.split,
            "title": self.title or None,
            "documents": self.documents,
            "queries": self.queries,
            "judgements_per_query": {
                "least": self.least,
                "mean": round(self.mean, 3),
                "most": self.most,
            },
            "grades": list(self.grades),
            "languages": list(self.languages) or None,
            "licence": self.licence or None,
            "judges": self.judges or None,
            "agreement": self.agreement,
            "corpus_sha256": self.corpus_sha256,
            "judgements_sha256": self.judgements_sha256,
            "slices": [{"facet": f, "value": v, "queries": n} for f, v, n in self.slices],
            "doubts": list(self.doubts),
        }


def names_in(place: str) -> tuple[str, ...]:
    """Return the names of the sets at a place, one for each split. The place is a set, a split of
    one, `irds:NAME`, or a folder of sets.

    A set without readable judgements has its folder as its name, and `read_listed` says why. Raises
    InputError if there is no set.
    """
    folder = Path(place)
    if ir_sets.is_name(place) or (not folder.is_dir() and ":" in place):
        return (place,)
    if not folder.is_dir():
        raise InputError(
            "no such folder", where=place, mend="name a judged set or a folder of them"
        )
    sets = (
        [folder] if is_judged_folder(folder) else sorted(filter(is_judged_folder, _inside(folder)))
    )
    if not sets:
        mend = "a judged set has queries.jsonl and qrels/SPLIT.tsv, or TREC topics and qrels"
        raise InputError("there is no judged set", where=place, mend=mend)
    return tuple(name for each in sets for name in _splits(each))


def read_listed(name: str, *, download: bool = False, said: Said = silent) -> Listed:
    """Read a whole set. Raises none of our errors: the row has the error."""
    try:
        judged = read_judged_set(name, download=download, said=said)
        place = name if ir_sets.is_name(name) else str(parse_name(name)[0])
        return _listed(judged, place)
    except DatelineError as error:
        if ir_sets.is_name(name):
            return Listed(name, name, error=str(error))
        folder, _, split = name.rpartition(":")
        place, split = (folder, split) if folder else (name, "")
        return Listed(Path(place).name, place, split, error=str(error))


def _listed(judged: JudgedSet, place: str) -> Listed:
    counts = [len(grades) for grades in judged.qrels.values()]
    grades = {grade for each in judged.qrels.values() for grade in each.values()}
    return Listed(
        name=judged.name,
        place=place,
        split=judged.split,
        title=judged.title,
        documents=judged.documents,
        queries=len(judged.queries),
        least=min(counts),
        mean=sum(counts) / len(counts),
        most=max(counts),
        grades=tuple(sorted(grades)),
        languages=judged.languages,
        licence=judged.licence,
        judges=len(judged.judges),
        agreement=judged.agreement,
        corpus_sha256=judged.corpus_sha256,
        judgements_sha256=judged.judgements_sha256,
        slices=tuple((f, v, n) for (f, v), n in sizes(slices_of(judged)).items()),
        doubts=judged.doubts.lines(),
    )


def _inside(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _splits(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(f"{folder}:{split}" for split in splits_of(folder))
    except InputError:
        return (str(folder),)
