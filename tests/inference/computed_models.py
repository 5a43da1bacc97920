"""Models of a few lines of numpy over a real tokenizer, so that every answer can be checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Array

WIDTH = 16
TABLE = np.random.default_rng(7).normal(size=(30522, WIDTH)).astype(np.float32)
TWO, THREE = ("input_ids", "attention_mask"), ("input_ids", "attention_mask", "token_type_ids")
Compute = Callable[[Mapping[str, Array]], Array]


@dataclass
class ComputedRuntime:
    """A Runtime whose one output is a function of what goes in. Remembers what went in."""

    compute: Compute
    output: str
    inputs: tuple[str, ...] = TWO
    kind: str = "computed"
    seen: list[dict[str, Array]] = field(default_factory=list)
    closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        assert tuple(outputs) == self.outputs
        assert set(arrays) == set(self.inputs)
        with self._lock:
            self.seen.append(dict(arrays))
        return [self.compute(arrays)]

    def close(self) -> None:
        self.closed = True


def folder_like(models: ModelStore, name: str, **changed: Any) -> ModelFolder:
    """A bundled model's folder that says other things of itself; its tokenizer is the real one."""
    folder = models.open(name)
    return ModelFolder(folder.path, replace(folder.manifest, **changed))


def hidden_states(arrays: Mapping[str, Array]) -> Array:
    """Each token's own vector [n, t, d]; where the mask is 0 there is rubbish."""
    vectors = TABLE[arrays["input_ids"]]
    vectors[arrays["attention_mask"] == 0] = np.nan
    return vectors


def overlap(arrays: Mapping[str, Array]) -> Array:
    """Logits [n, 1]: how many of a pair's passage tokens are among its query's, less its length
    in hundredths.
    """
    scores = []
    for ids, types, mask in zip(
        *(arrays[name] for name in (THREE[0], THREE[2], THREE[1])), strict=True
    ):
        asked = set(ids[(types == 0) & (mask == 1)].tolist()) - {101, 102}
        passage = [token for token in ids[types == 1].tolist() if token != 102]
        scores.append(sum(token in asked for token in passage) - len(passage) / 100)
    return np.array(scores, np.float32)[:, None]
