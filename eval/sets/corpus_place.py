"""Finds the documents of a judged set that has none of its own.

    {"corpus": "reuters21578"}    in dataset.json: judgements of another set's documents

The value is a path from the set's folder, or the name of a folder beside it or among the shared
sets. A licence may let judgements be passed on but not the documents; and two sets over the same
documents share one index.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import InputError

SHARED = "DATELINE_SHARED"
_CHECKOUT = Path(__file__).resolve().parents[2]


def shared_sets() -> Path | None:
    """Return the folder of the shared judged sets: `datasets` in $DATELINE_SHARED, or in `shared`
    beside the checkout; None if it does not exist. Raises InputError if $DATELINE_SHARED names no
    folder.
    """
    stated = os.environ.get(SHARED, "")
    shared = Path(stated) if stated else _CHECKOUT.parent / "shared"
    if stated and not shared.is_dir():
        raise InputError("no such folder", where=stated, mend=f"mend or unset {SHARED}")
    return shared / "datasets" if (shared / "datasets").is_dir() else None


def corpus_folder(folder: Path, stated: str) -> Path:
    """Return the folder of the documents that the set in `folder` states as its `corpus`. Raises
    InputError if it does not exist.
    """
    for near in (folder, folder.resolve().parent):
        if (near / stated).is_dir():
            return near / stated
    shared = shared_sets()
    if shared and (shared / stated).is_dir():
        return shared / stated
    raise InputError(
        f"the documents of this set are those of {stated!r}, which is not there",
        where=str(folder / "dataset.json"),
        mend=f"put the folder {stated} beside the set, or set the environment variable {SHARED} to "
        "the folder whose datasets/ has it",
    )
