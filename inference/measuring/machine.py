"""The most that this machine can do on one thread, measured: the bounds of a model's speed.

Work takes at least as long as its arithmetic at the greatest speed, and as its bytes at the speed
of the memory that they lie in (Roofline; Williams, Waterman and Patterson 2009). The arithmetic's
speed is that of a large matrix product through ONNX Runtime, whose kernels the models use. The
memory's speed is measured for several sizes, because a model that fits in a cache is read from
there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from inference.preparing.forms import sums_signed_exactly
from inference.preparing.onnx_nodes import FLOAT, INT32, UINT8, product_graph
from inference.runtime import Array

ROWS, INNER, COLUMNS = 256, 1024, 1024  # sizes of the product: so large that packing hardly counts
WORK = 2.0 * ROWS * INNER * COLUMNS  # its operations
SIZES = tuple(2**power for power in (18, 20, 22, 24, 26, 28))  # bytes, 256 KiB to 256 MiB
INT8_PEAK, FLOAT32_PEAK = "int8", "float32"


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """Measured bounds of one thread.

    - `int8`, `float32`: operations a second of a matrix product, a multiplication and an
      addition counted as two
    - `memory`: pairs of a block's size in bytes and bytes a second, by rising size
    """

    int8: float
    float32: float
    memory: tuple[tuple[int, float], ...]

    def arithmetic(self, precision: str) -> float:
        """Return operations a second at `precision`, `int8` or `float32`."""
        return self.int8 if precision == INT8_PEAK else self.float32

    def bandwidth(self, size: float) -> float:
        """Return bytes a second for a block of `size` bytes: the speed of the next larger one
        measured.
        """
        return next((speed for block, speed in self.memory if block >= size), self.memory[-1][1])

    def best(self, other: "MachineLimits") -> "MachineLimits":
        """Return the higher of each figure, because both measure the same blocks, and a speed that
        was reached once is possible.
        """
        pairs = zip(self.memory, other.memory, strict=True)
        return MachineLimits(
            max(self.int8, other.int8),
            max(self.float32, other.float32),
            tuple((size, max(speed, again)) for (size, speed), (_, again) in pairs),
        )


def measure_limits(seconds: float = 0.3, sizes: Sequence[int] = SIZES) -> MachineLimits:
    """Return the limits of this machine, measured for about `seconds` for each product and for the
    memory.
    """
    int8, float32 = product_call(INT8_PEAK), product_call(FLOAT32_PEAK)
    each = seconds / len(sizes)
    return MachineLimits(
        WORK / faster_half(times(int8, seconds)),
        WORK / faster_half(times(float32, seconds)),
        tuple((size, stream_speed(size, each)) for size in sorted(sizes)),
    )


def product_call(precision: str, rows: int = ROWS) -> Callable[[], Any]:
    """Return one matrix product of [rows, 1024] and [1024, 1024] on one thread, ready to be
    timed.
    """
    import onnxruntime as ort

    graph, taken = _int8_product(rows) if precision == INT8_PEAK else _float32_product(rows)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": taken})


def _int8_product(rows: int) -> tuple[bytes, Array]:
    """Return the graph and its left factor, uint8 [rows, 1024]. The kernel is signed where layers
    have such.
    """
    random = np.random.default_rng(1)
    shift, kind = (128, np.int8) if sums_signed_exactly() else (0, np.uint8)
    kernel = (random.integers(0, 256, (INNER, COLUMNS)) - shift).astype(kind)
    left = random.integers(0, 256, (rows, INNER)).astype(np.uint8)
    return product_graph("MatMulInteger", rows, kernel, UINT8, INT32), left


def _float32_product(rows: int) -> tuple[bytes, Array]:
    """Return the graph and its left factor, float32 [rows, 1024]."""
    random = np.random.default_rng(1)
    kernel = random.standard_normal((INNER, COLUMNS), np.float32)
    left = random.standard_normal((rows, INNER), np.float32)
    return product_graph("MatMul", rows, kernel, FLOAT, FLOAT), left


def stream_speed(size: int, seconds: float) -> float:
    """Return bytes a second through a block of `size` bytes: the faster of reading it (a dot
    product with itself) and of copying one half to the other; each byte counts once.
    """
    block = np.ones(size // 4, np.float32)
    half = len(block) // 2
    reading = times(lambda: np.dot(block, block), seconds / 2)
    copying = times(lambda: np.copyto(block[half:], block[: len(block) - half]), seconds / 2)
    return size / min(faster_half(reading), faster_half(copying))


def times(call: Callable[[], Any], seconds: float) -> list[float]:
    """Return seconds of each of as many calls as fit, at least 3; one before them is not
    counted.
    """
    call()
    found: list[float] = []
    until = perf_counter() + seconds
    while len(found) < 3 or perf_counter() < until:
        started = perf_counter()
        call()
        found.append(perf_counter() - started)
    return found


def faster_half(found: Sequence[float]) -> float:
    """Return the mean of the faster half, because other work on the machine only adds time."""
    return float(np.sort(found)[: (len(found) + 1) // 2].mean())
