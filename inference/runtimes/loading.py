"""What all runtimes share: optional libraries, arrays as a graph takes them, errors that say where.

A graph is always loaded from bytes whose checksum was just verified, never from a path: so nothing
can change between the check and the use.
"""

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.models.manifest import companions
from inference.models.store import ModelFolder
from inference.runtime import Array

Held = TypeVar("Held")
# The extras of optional libraries; all others come with [torch].
_EXTRAS = {"openvino": "openvino", "tensorflow": "tensorflow", "ai_edge_litert": "tensorflow"}


def installed(module: str) -> bool:
    """Return whether `module` can be imported here; it is not imported to find out."""
    return find_spec(module) is not None


def library(module: str) -> Any:
    """Return the imported `module`. Raises ModelError that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = (error.name or module).partition(".")[0]
        raise ModelError(
            f"{top} is not installed or can't be loaded: {first_line(error)}",
            where=module,
            mend=install_hint(top),
        ) from error


def install_hint(module: str) -> str:
    """Return how to get an optional library."""
    extra = _EXTRAS.get(module, "torch")
    return f"pip install 'dateline-search[{extra}]', or choose another runtime"


def cores() -> int:
    """Return processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def graph_path(folder: ModelFolder, *formats: str) -> tuple[str, str]:
    """Return the first of `formats` that the model has, and its path in the folder.

    Raises ModelError if it has none of them.
    """
    graphs = folder.manifest.graphs
    for one in formats:
        if one in graphs:
            return one, graphs[one]
    raise ModelError(
        f"{folder.manifest.name} has no {' or '.join(formats)} graph, only {', '.join(graphs)}",
        where=str(folder.path),
        mend="make one with `dateline models export`, or choose another runtime",
    )


def beside(folder: ModelFolder, path: str) -> dict[str, bytes]:
    """Return the checked bytes of the files that must lie beside the graph at `path`, by name."""
    listed = companions(path, folder.manifest.files)
    return {name: folder.read(name) for name in listed}


@contextmanager
def loading(where: str) -> Iterator[None]:
    """Turn any failure inside into a ModelError about a graph that can't be loaded."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        what = f"the graph can't be loaded: {first_line(error)}"
        raise ModelError(what, where=where, mend="make or pull the model again") from error


@contextmanager
def running(where: str) -> Iterator[None]:
    """Turn any failure inside into a ModelError about a call that failed."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        what = f"the model failed: {first_line(error)}"
        raise ModelError(what, where=where, mend="check names and shapes") from error


def first_line(error: BaseException) -> str:
    """Return an error in one line of at most 300 characters, because libraries put whole stacks
    into theirs.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def fitted(
    arrays: Mapping[str, Array], wanted: Mapping[str, npt.DTypeLike], where: str
) -> dict[str, Array]:
    """Return `arrays` in the types that the graph takes, by its names.

    Token numbers come as int32 or int64 and are cast to the graph's type. Raises ModelError for a
    missing or unknown name, or an array that holds no numbers.
    """
    if arrays.keys() != wanted.keys():
        raise ModelError(
            f"the graph takes {', '.join(wanted)}, and was given {', '.join(arrays) or 'nothing'}",
            where=where,
            mend="check names and shapes",
        )
    found: dict[str, Array] = {}
    for name, kind in wanted.items():
        array = arrays[name]
        if array.dtype.kind not in "iufb":
            raise ModelError(f"{name} has no numbers but {array.dtype}", where=where)
        found[name] = np.ascontiguousarray(array, dtype=kind)
    return found


class _Loaded(Protocol):
    where: str
    outputs: tuple[str, ...]


def asked(
    runtime: _Loaded,
    outputs: Sequence[str],
    arrays: Mapping[str, Array],
    types: Mapping[str, npt.DTypeLike],
) -> dict[str, Array]:
    """Return `arrays` as the graph of `runtime` takes them, each with a row at least.

    Raises ModelError as `fitted` does, for an array without rows, which ends the process in some
    operators, and for one of `outputs` that the graph does not give.
    """
    for name in outputs:
        if name not in runtime.outputs:
            raise ModelError(
                f"the graph gives {', '.join(runtime.outputs)}, not {name}",
                where=runtime.where,
                mend="check names and shapes",
            )
    feeds = fitted(arrays, types, runtime.where)
    if not all(len(array) for array in feeds.values() if array.ndim):
        raise ModelError("there is nothing to compute: no rows", where=runtime.where)
    return feeds


def opened(graph: Held | None, where: str) -> Held:
    """Return what a runtime holds. Raises ModelError if it was closed, and holds nothing."""
    if graph is None:
        raise ModelError("the model was closed", where=where)
    return graph


class Turns:
    """Objects that serve one call at a time each. If all are in use, `make` makes another.
    Thread-safe. `where` names the model in errors.
    """

    def __init__(self, make: Callable[[], Any], where: str) -> None:
        self._make: Callable[[], Any] | None = make  # None once closed
        self._where = where
        self._resting: list[Any] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Any]:
        """Lend an object. Raises ModelError once closed."""
        with self._lock:
            make = opened(self._make, self._where)
            found = self._resting.pop() if self._resting else None
        lent = make() if found is None else found
        try:
            yield lent
        finally:
            with self._lock:
                if self._make is not None:
                    self._resting.append(lent)

    def close(self) -> None:
        """Let go of all; those that are lent end with their calls."""
        with self._lock:
            self._make = None
            self._resting.clear()
