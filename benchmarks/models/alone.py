"""One model in one runtime, in a process of its own: its start and its memory, or its quality.

    python -m benchmarks.models.alone NAME RUNTIME [--pulled DIR] [--judge SET|FILE ...]

Without `--judge`:

- `start_s`: from the choice of the runtime, whose library is not imported yet, to the answer to one
  short text; the form of the graph that a first load makes is kept before
- `memory_mb`: what the process has more after calls of both sizes than before the runtime

With it nothing is timed, and `quality` has the rows of each of the data that are for the model's
task (`benchmarks.models.judged`).
"""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from benchmarks.machine import arguments
from benchmarks.models.judged import data_for, quality
from core.errors import DatelineError
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.measuring.model_bench import BenchPlan, inputs
from dateline.settings import Settings, configure
from indexing.media.shots.windows import FILE_WINDOW
from inference.measuring.made_costs import resident_mb
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.bench import Shape
from inference.runtimes.parity import answer_of
from inference.runtimes.sample import narrowed
from inference.shot_detector import SHORTEST

# A call with one and with many; a window of shots is many pictures by itself.
SHAPES = {
    "encode": (Shape(1, 16), Shape(64, 32)),
    "tag": (Shape(1, 16), Shape(64, 16)),
    "score": (Shape(1, 48), Shape(64, 48)),
    "shots": (Shape(1, SHORTEST), Shape(1, FILE_WINDOW)),
}


def main() -> None:
    """Measure, and print JSON."""
    try:
        found = measured()
    except DatelineError as error:
        raise SystemExit(f"error: {error}") from error
    print(orjson.dumps(found).decode(), flush=True)
    os._exit(0)  # threads of a runtime may take their time to end


def measured() -> dict[str, Any]:
    """Return the figures, by name."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("name")
    parser.add_argument("runtime")
    parser.add_argument("--pulled", type=Path, help="where models are, beside the bundled ones")
    parser.add_argument("--judge", nargs="+", default=[], help="judged sets and CoNLL files")
    chosen = parser.parse_args()
    flags = {"pulled_models": chosen.pulled, "runtimes": {chosen.name: chosen.runtime}}
    settings = configure({k: v for k, v in flags.items() if v is not None}).settings
    folder = model_store(settings).open(chosen.name)
    if not chosen.judge:
        return cost(settings, folder)
    runtime, kept = open_runtime(settings, folder, threads=1), chosen.pulled
    data = data_for(folder.manifest.task, chosen.judge)
    return {"quality": {one: quality(settings, folder, runtime, one, kept).tree() for one in data}}


def cost(settings: Settings, folder: ModelFolder) -> dict[str, Any]:
    """Return seconds until the first answer, and MB after calls of both sizes."""
    shapes = SHAPES[folder.manifest.task]
    small, large = inputs(folder, BenchPlan(shapes=shapes))[0].values()
    before, began = resident_mb(), perf_counter()
    runtime = open_runtime(settings, folder, threads=1)
    _call(runtime, small)
    started = perf_counter() - began
    _call(runtime, large)
    _call(runtime, large)
    return {"start_s": started, "memory_mb": resident_mb() - before}


def _call(runtime: Runtime, arrays: Any) -> None:
    runtime.run(narrowed(arrays, runtime), (answer_of(runtime),))


if __name__ == "__main__":
    main()
