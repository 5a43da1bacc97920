"""Gathered features on disk: one file per judged set, named by everything that they depend on.

FOLDER/<digest>.npz    arrays of all queries, one after the other; `ends` says where each ends
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import orjson

from core.errors import StorageError
from core.retrieval import Retrieved, VectorScores
from eval.tune.fusion.features import QueryFeatures, SetFeatures
from search.candidates import FusionInput

FORMAT = 2  # raise it when other values are gathered
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """The file of one set below `folder`. `key` is what the features depend on: the index, the
    queries, the models and the part of the profile that shapes retrieval.
    """

    folder: Path
    key: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file's path."""
        data = orjson.dumps({**self.key, "format": FORMAT}, option=orjson.OPT_SORT_KEYS)
        return self.folder / f"{hashlib.sha256(data).hexdigest()[:32]}.npz"

    def read(self) -> SetFeatures | None:
        """Return the features that were written; None if the file is missing or damaged."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return _unpacked({name: stored[name] for name in stored.files})
        except (FileNotFoundError, BadZipFile, EOFError, KeyError, ValueError):
            return None

    def write(self, features: SetFeatures) -> None:
        """Write the file in one step. Raises StorageError."""
        part = self.path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **_packed(features))
            part.replace(self.path)
        except OSError as error:
            raise StorageError(f"can't be written: {error}", where=str(self.path)) from error


def _packed(features: SetFeatures) -> Arrays:
    given = [query.given for query in features.queries]
    asked = [one for one in given if one is not None]
    fields = list(dict.fromkeys(part.field for one in asked for part in one.found.vectors))
    arrays: Arrays = {
        "label": np.array(features.label),
        "names": np.array(features.names, np.str_),
        "queries": np.array([query.query_id for query in features.queries], np.str_),
        "fields": np.array(fields, np.str_),
        "ends": np.cumsum([len(query.documents) for query in features.queries]),
        "documents": _joined([query.documents for query in features.queries], np.int32),
        "asked": np.array([one is not None for one in given]),
        "named": np.array([one is not None and one.names is not None for one in given]),
        "ordered": np.array([one is not None and one.given_order is not None for one in given]),
        "bounds": np.array([0.0 if one is None else one.found.lexical_bound for one in given]),
        "matches": np.array([0 if one is None else one.found.lexical_matches for one in given]),
        "ids": _joined([one.found.ids for one in asked], np.int64),
        "bm25": _joined([one.found.bm25 for one in asked], np.float32),
        "lexical_ranks": _joined([one.found.lexical_ranks for one in asked], np.int32),
        "stories": _joined([one.stories for one in asked], np.int64),
        "rerank": _joined([one.rerank_scores for one in asked], np.float32),
        "shares": _joined([_or_zeros(one.names, one) for one in asked], np.float32),
        "orders": _joined([_or_zeros(one.given_order, one) for one in asked], np.int64),
        "languages": np.array([one is not None and one.foreign is not None for one in given]),
        "foreign": _joined([_or_zeros(one.foreign, one) for one in asked], np.bool_),
    }
    for number, field in enumerate(fields):
        arrays |= _packed_field(number, field, given)
    return arrays


def _packed_field(number: int, field: str, given: list[FusionInput | None]) -> Arrays:
    """Return one vector field's arrays; queries without the field have no rows."""
    parts = [_part(one, field) for one in given]
    there = [part for part in parts if part is not None]
    return {
        f"v{number}_there": np.array([part is not None for part in parts]),
        f"v{number}_background": np.array([part.background if part else 0.0 for part in parts]),
        f"v{number}_weight": np.array([part.weight if part else 0.0 for part in parts]),
        f"v{number}_cosines": _joined([part.cosines for part in there], np.float32),
        f"v{number}_passages": _joined([part.passages for part in there], np.int32),
        f"v{number}_ranks": _joined([part.ranks for part in there], np.int32),
    }


def _unpacked(arrays: Arrays) -> SetFeatures:
    """Return the inverse of `_packed`. Every query takes its rows from the front of those left."""
    left = dict.fromkeys(arrays, 0)

    def take(name: str, count: int) -> npt.NDArray[Any]:
        start = left[name]
        left[name] += count
        return arrays[name][start : start + count]

    def vectors(row: int, count: int) -> tuple[VectorScores, ...]:
        return tuple(
            VectorScores(
                field=str(field),
                weight=float(arrays[f"v{number}_weight"][row]),
                cosines=take(f"v{number}_cosines", count),
                passages=take(f"v{number}_passages", count),
                ranks=take(f"v{number}_ranks", count),
                background=float(arrays[f"v{number}_background"][row]),
            )
            for number, field in enumerate(arrays["fields"].tolist())
            if arrays[f"v{number}_there"][row]
        )

    def given(row: int, count: int) -> FusionInput:
        found = Retrieved(
            ids=take("ids", count),
            bm25=take("bm25", count),
            lexical_ranks=take("lexical_ranks", count),
            lexical_matches=int(arrays["matches"][row]),
            vectors=vectors(row, count),
            lexical_bound=float(arrays["bounds"][row]),
        )
        shares, order = take("shares", count), take("orders", count)
        foreign = take("foreign", count)
        return FusionInput(
            found=found,
            names=shares if arrays["named"][row] else None,
            stories=take("stories", count),
            rerank_scores=take("rerank", count),
            given_order=order if arrays["ordered"][row] else None,
            degraded=(),
            foreign=foreign if arrays["languages"][row] else None,
        )

    sizes = np.diff(arrays["ends"], prepend=0).tolist()
    queries = []
    for row, (name, count) in enumerate(zip(arrays["queries"].tolist(), sizes, strict=True)):
        documents = take("documents", count)
        one = given(row, count) if arrays["asked"][row] else None
        queries.append(QueryFeatures(name, one, documents))
    return SetFeatures(str(arrays["label"]), tuple(arrays["names"].tolist()), tuple(queries))


def _part(given: FusionInput | None, field: str) -> VectorScores | None:
    if given is None:
        return None
    return next((part for part in given.found.vectors if part.field == field), None)


def _or_zeros(values: npt.NDArray[Any] | None, given: FusionInput) -> npt.NDArray[Any]:
    return np.zeros(len(given.found.ids)) if values is None else values


def _joined(parts: list[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)
