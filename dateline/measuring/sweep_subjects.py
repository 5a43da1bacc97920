"""The vectors and queries of an HNSW sweep.

A judged set gives the passages of its index and its judged queries; if those are few, titles of its
own documents are asked too. An archive, a file or the collections in the cache have no queries:
some of their vectors are held out and asked instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.items import FloatMatrix
from dateline.build.models.served import Models, load_models
from dateline.measuring.evaluate import cached_index, open_indexed
from dateline.measuring.real_vectors import real_vectors
from dateline.settings import Settings
from eval.runs.candidates import known_items
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.tune.graphs.vector_source import gather
from indexing.ingest import Observer

_RECORD = "record.sqlite3"
_HELD_OUT = 0.2  # the largest share of all vectors
_FEW = 200  # queries; with fewer, percentiles are coarse


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit vectors float32 [n, d] in random order, of which `real` are not copies, and queries [q,
    d]. `facts` name their source. `judged` and `models` are set for a judged set.
    """

    vectors: FloatMatrix
    queries: FloatMatrix
    real: int
    facts: Mapping[str, str | int | float]
    notes: tuple[str, ...] = ()
    judged: JudgedSet | None = field(default=None, repr=False)
    models: Models | None = field(default=None, repr=False)


def vectors_of(
    settings: Settings,
    what: str,
    file: Path | None,
    *,
    count: int,
    queries: int,
    observer: Observer | None = None,
) -> Vectors:
    """Return the vectors that the command line names: a judged set or an archive's folder (`what`),
    a .npy file, or with neither every collection of the cache. `count` 0 takes all; if there are
    fewer than `count`, copies are added. Raises InputError, ModelError and StorageError.
    """
    if what and file is not None:
        raise InputError("both a set and a file of vectors", mend="name one of them")
    if file is not None:
        return _held_out(_of_file(file, count + queries if count else 0), str(file), queries, count)
    if what and not (Path(what) / _RECORD).is_file():
        return _of_judged(settings, what, count, queries, observer)
    place = Path(what) if what else Path(settings.data)
    name = what or f"every collection in {place}"
    return _held_out(_real(place, count + queries if count else 0), name, queries, count)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Vectors [n, d] in random order, how many are real, and the same in words."""

    vectors: FloatMatrix
    real: int
    said: str


def _real(place: Path, count: int) -> _Gathered:
    found = real_vectors(place, count)
    return _Gathered(found.vectors, found.real, str(found))


def _of_file(path: Path, count: int) -> _Gathered:
    mend = "write float vectors [n, d] with numpy.save"
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(path), mend=mend) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
        raise InputError("is no matrix of floats", where=str(path), mend=mend)
    if not np.isfinite(array).all() or not np.linalg.norm(array, axis=1).all():
        raise InputError("a vector is zero or not finite", where=str(path), mend="leave it out")
    unit = array / np.linalg.norm(array, axis=1, keepdims=True)
    found = gather([unit], count)
    return _Gathered(found.vectors, found.real, str(found))


def _held_out(found: _Gathered, name: str, queries: int, count: int) -> Vectors:
    """Hold out the last vectors as queries; they are not in the graph."""
    least = max(1, len(found.vectors) - count) if count else queries
    asked = min(least, max(1, round(_HELD_OUT * len(found.vectors))))
    if len(found.vectors) < 2:
        raise InputError("there is one vector only", where=name, mend="a sweep needs more")
    facts: dict[str, str | int | float] = {
        "vectors": name,
        "rows": len(found.vectors) - asked,
        "source": found.said,
        "queries": f"{asked:,} vectors held out",
    }
    notes = ("queries are held-out passages, which lie nearer to others than texts asked do",)
    real = min(found.real, len(found.vectors) - asked)
    return Vectors(found.vectors[:-asked], found.vectors[-asked:], real, facts, notes)


def _of_judged(
    settings: Settings, what: str, count: int, queries: int, observer: Observer | None
) -> Vectors:
    judged = read_judged_set(what)
    models = load_models(settings)
    with open_indexed(settings, judged, observer, models):
        found = _real(cached_index(settings, judged, models).folder, count)
    texts = _texts(judged, queries)
    asked = models.encoder.encode_queries(texts)
    titles = len(texts) - len(set(judged.queries.values()) & set(texts))
    facts: dict[str, str | int | float] = {
        "vectors": f"{judged.name}:{judged.split}",
        "rows": len(found.vectors),
        "source": found.said,
        "queries": f"{len(texts) - titles:,} judged queries and {titles:,} titles",
    }
    notes = (f"only {len(texts)} queries: percentiles are coarse",) if len(texts) < _FEW else ()
    return Vectors(found.vectors, asked, found.real, facts, notes, judged, models)


def _texts(judged: JudgedSet, count: int) -> list[str]:
    """Return up to `count` different judged queries, then titles if there are any."""
    texts = list(dict.fromkeys(judged.queries.values()))
    if len(texts) > count:
        chosen = np.random.default_rng(1).permutation(len(texts))[:count]
        return [texts[place] for place in sorted(chosen)]
    try:
        titles = known_items(judged, count, seed=1).queries.values()
    except InputError:
        return texts  # no document has a title
    return list(dict.fromkeys((*texts, *titles)))[:count]
