"""What a model takes before and after it was made smaller: disk, memory, and the time of calls.

Memory is that of a process of its own, as what one model frees another would take. Calls are made
in turns, so that a slow minute is slow for both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from inference.measuring.made_report import Cost
from inference.models.store import ModelFolder, ModelStore
from inference.runtimes.bench import Arrays, Contender, Shape, measure
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.parity import answer_of
from inference.runtimes.sample import full_batch, narrowed, ordinary_batches

SHAPES = (Shape(1, 16), Shape(32, 64))
_SECONDS = 0.5  # for each shape


def costs_of(before: ModelFolder, after: ModelFolder, texts: Sequence[str]) -> tuple[Cost, ...]:
    """Return MB of both graphs, MB of memory and milliseconds of calls by ONNX Runtime on one
    thread, with `texts` as input. Raises ModelError if a graph can't be run.
    """
    from tokenizers import Tokenizer

    both = (before, after)
    pairs = before.manifest.task == "score"
    tokenizer = Tokenizer.from_buffer(before.read(before.manifest.tokenizer))
    calls: dict[Shape, Arrays] = {
        one: full_batch(tokenizer, texts, pairs=pairs, rows=one.texts, tokens=one.tokens)
        for one in (Shape(s.texts, min(s.tokens, before.manifest.max_tokens)) for s in SHAPES)
    }
    real = ordinary_batches(tokenizer, texts[:4], pairs=pairs, longest=before.manifest.max_tokens)
    sides = [
        Contender(str(number), partial(OnnxRuntime.open, one, threads=1))
        for number, one in enumerate(both)
    ]
    rows = measure(sides, calls, real, seconds=_SECONDS)
    return (
        Cost("MB on disk", *(_graph_mb(one) for one in both)),
        Cost("MB of memory", *(_memory_mb(one, list(calls.values())) for one in both)),
        *(
            Cost(f"ms of a call of {shape}", *(row.speeds[str(shape)].p50 for row in rows))
            for shape in calls
        ),
    )


def _graph_mb(folder: ModelFolder) -> float:
    return (folder.path / folder.manifest.graph).stat().st_size / 1e6


def _memory_mb(folder: ModelFolder, calls: Sequence[Arrays]) -> float:
    """Return what a new process has more once the model has answered the calls."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_growth_mb, folder.path, calls).result()


def _growth_mb(path: Path, calls: Sequence[Arrays]) -> float:
    folder = ModelStore(path.parent).open(path.name)
    before = resident_mb()
    runtime = OnnxRuntime.open(folder, threads=1)
    for arrays in calls:
        runtime.run(narrowed(arrays, runtime), (answer_of(runtime),))
    return resident_mb() - before


def resident_mb() -> float:
    """Return the resident memory of this process, in MB of 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
