"""Passages fed by the runtime's own way, tf.data for TensorFlow, against our queue.

    python -m benchmarks.models.feeding FOLDER [--texts FILE] [--passages N] [--turns N]

FOLDER is an encoder with a SavedModel, as `dateline models export` writes it. Both sides embed the
same passages in turns, on one thread; the figure is processor time of all threads for a passage, as
tf.data makes batches in threads of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.machine import arguments, show, this_machine
from core.errors import DatelineError
from dateline.measuring.model_texts import read_texts
from inference.encoder import BULK, SentenceEncoder
from inference.models.store import ModelStore
from inference.runtime import Array, Runtime
from inference.runtimes.tensorflow import TensorFlowRuntime


@dataclass(frozen=True, slots=True)
class Unfed:
    """A runtime without its way of feeding."""

    fed: Runtime
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return what the runtime gives."""
        return self.fed.run(arrays, outputs)

    def close(self) -> None:
        """Close the runtime."""
        self.fed.close()


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=Path, help="a .txt or .jsonl; the demo corpus else")
    parser.add_argument("--passages", type=int, default=512)
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    try:
        figures = measured(chosen.folder, texts_of(chosen.texts, chosen.passages), chosen.turns)
    except DatelineError as error:
        raise SystemExit(f"error: {error}") from error
    show("passages fed by tf.data and by the queue", figures, this_machine(), as_json=chosen.json)


def texts_of(path: Path | None, count: int) -> tuple[str, ...]:
    """Return `count` texts, at least as many as are fed in bulk; few are repeated."""
    wanted = max(count, BULK)
    found = read_texts(path, wanted)
    return (found * -(-wanted // len(found)))[:wanted]


def measured(place: Path, texts: Sequence[str], turns: int) -> dict[str, float]:
    """Return milliseconds of processor time for a passage by either way, in the median of turns,
    and how many tokens a passage has. Raises ModelError.
    """
    folder = ModelStore(place.parent).open(place.name)
    runtime = TensorFlowRuntime.open(folder, threads=1)
    plain = Unfed(runtime, runtime.kind, runtime.inputs, runtime.outputs)
    sides = {"tf.data": SentenceEncoder.over(folder, runtime)}
    sides["queue"] = SentenceEncoder.over(folder, plain)
    spans: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, encoder in sides.items():
            began = process_time()
            encoder.encode_passages(texts)
            if turn:  # the first is to warm up
                spans[name].append((process_time() - began) / len(texts) * 1000)
    rows = sides["queue"].tokens.rows(texts).rows
    found = {f"{name} ms": float(np.median(spent)) for name, spent in spans.items()}
    return {**found, "tokens": float(np.mean([len(row) for row in rows]))}


if __name__ == "__main__":
    main()
