"""A checkpoint: the columns and what is visible, on disk, so that an archive opens without reading
every version again.

It holds the state of a running process after one change of the record. A process that opens the
archive starts with this state and applies the changes that came later, as the running process would
have done. So it decides nothing: a kill after the checkpoint is in the log, and the moments of
embargoes and expiries are in the checkpoint. If it can't be read, or if the record contradicts it,
it is left aside, and everything is read again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from storage.record.port import LogLine

log = logging.getLogger(__name__)
Mask = npt.NDArray[np.bool_]
Arrays = Mapping[str, npt.NDArray[Any]]
_FORMAT = 1
_META, _VISIBLE = "meta", "visible"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a process held when it had applied the change `line`: its `columns` as named arrays,
    which versions were `visible` (bool by seq), the heads whose story is not their own chain
    (`moved`: a seq and a number), and the moments at which stories change by themselves (`due`: in
    microseconds, with the chain).
    """

    line: LogLine
    columns: Arrays
    visible: Mask
    moved: Sequence[tuple[int, int]]
    due: Sequence[tuple[int, str]]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint at `path` as a whole or not at all. Only the owner calls this."""
    meta = {
        "format": _FORMAT,
        "line": list(checkpoint.line),
        "size": len(checkpoint.visible),
        "moved": checkpoint.moved,
        "due": checkpoint.due,
    }
    arrays = {
        **{name: _narrow(array) for name, array in checkpoint.columns.items()},
        _VISIBLE: np.packbits(checkpoint.visible),
        _META: np.frombuffer(orjson.dumps(meta), np.uint8),
    }
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)  # a part of it would only take the disk's last space
        raise


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers of versions in half of the space; other arrays as they are."""
    narrow = array.dtype == np.int64 and len(array) and array.min() >= 0 and array.max() < 2**32
    return array.astype(np.uint32) if narrow else array


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint at `path`; None if there is none, or if it can't be read. Each array
    has a CRC-32.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = orjson.loads(arrays.pop(_META).tobytes())
        if meta["format"] != _FORMAT:
            return None
        visible = np.unpackbits(arrays.pop(_VISIBLE), count=meta["size"]).view(np.bool_)
        due = [(moment, chain) for moment, chain in meta["due"]]
        moved = [(seq, number) for seq, number in meta["moved"]]
        return Checkpoint(tuple(meta["line"]), arrays, visible, moved, due)
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - zipfile has many for a damaged file
        log.warning("the checkpoint can't be read, so every version is: %s (%s)", error, path)
        return None
