"""What every runtime must do, whichever it is: the same answers as ONNX Runtime through the classes
that serve, and the promises of the port.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from inference.runtime import Runtime


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours * theirs).sum(axis=1) / lengths


def same_vectors(one: Any, other: Any, texts: Sequence[str], least: float = 0.9999) -> None:
    for how in ("encode_queries", "encode_passages"):
        ours, theirs = getattr(one, how)(texts), getattr(other, how)(texts)
        assert cosines(ours, theirs).min() >= least
    apart = one.encode_passages(texts[:-2])
    assert np.abs(apart @ apart.T - np.eye(len(apart))).max() > 0.01
    order = np.argsort(-(apart @ apart[0]), kind="stable")
    theirs = other.encode_passages(texts[:-2])
    assert list(np.argsort(-(theirs @ theirs[0]), kind="stable")) == list(order)


def same_labels(one: Any, other: Any, texts: Sequence[str]) -> None:
    words = [text.split() for text in texts]
    ours, theirs = one.tag_words(words), other.tag_words(words)
    assert [tags.labels for tags in ours] == [tags.labels for tags in theirs]
    assert len({label for tags in ours for label in tags.labels}) > 2, "the labels differ"
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.scores, yours.scores, atol=1e-3)


def same_order(one: Any, other: Any, texts: Sequence[str]) -> None:
    queries = ["ferry sank"] * len(texts)
    ours, theirs = one.score(queries, texts), other.score(queries, texts)
    assert cosines(ours.T, theirs.T)[0] >= 0.9999
    assert list(np.argsort(-ours[:, 0])) == list(np.argsort(-theirs[:, 0]))
    assert np.ptp(ours) > 0.01, "the scores differ between passages"


def keeps_the_port_s_promises(runtime: Runtime, asked: str = "last_hidden_state") -> None:
    """`asked` is an output of the encoder with numbers for each token."""
    ids = np.array([[2, 40, 41, 3], [2, 50, 51, 3]], np.int32)
    arrays = {n: ids if n == "input_ids" else np.ones_like(ids) for n in runtime.inputs}
    (short,) = runtime.run(arrays, (asked,))
    wide = {n: a.astype(np.int64) for n, a in arrays.items()}
    long = dict(zip(runtime.outputs, runtime.run(wide, runtime.outputs), strict=True))[asked]
    assert short.dtype == np.float32
    assert short.shape[:2] == ids.shape
    assert np.array_equal(short, long)
    kept = short.copy()
    runtime.run({n: np.ones((1, 9), np.int64) for n in arrays}, runtime.outputs)
    assert np.array_equal(short, kept), "an answer is the caller's own"
    with pytest.raises(ModelError, match="not logits"):
        runtime.run(arrays, ("logits",))
    with pytest.raises(ModelError, match="was given"):
        runtime.run({"input_ids": ids}, runtime.outputs)
    runtime.close()
    runtime.close()
    with pytest.raises(ModelError, match="was closed"):
        runtime.run(arrays, runtime.outputs)


def answers_several_threads(runtime: Runtime) -> None:
    def feeds(rows: int) -> dict[str, np.ndarray]:
        ids = np.arange(10, 10 + rows * 5).reshape(rows, 5)
        return {n: ids if n == "input_ids" else np.ones_like(ids) for n in runtime.inputs}

    alone = {rows: runtime.run(feeds(rows), runtime.outputs)[0] for rows in (1, 2, 3)}
    wrong: list[str] = []

    def work(rows: int) -> None:
        try:
            for _ in range(10):
                found = runtime.run(feeds(rows), runtime.outputs)[0]
                if not np.allclose(found, alone[rows], atol=1e-5):
                    wrong.append(f"{rows} rows differ")
        except Exception as error:  # noqa: BLE001 - a thread's error must not be lost
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(rows,)) for rows in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.close()
    assert wrong == []
