"""What every runtime is: a loaded graph, named arrays in, named arrays out.

ONNX Runtime, OpenVINO and PyTorch all stand behind this port; the rest of the room can't tell them
apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


class Runtime(Protocol):
    """A loaded graph. `run` may be called from several threads at once."""

    @property
    def kind(self) -> str:
        """Which runtime this is, as in the settings: `onnxruntime`, `openvino`, `torch`, …"""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it takes."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the arrays that it can give."""
        ...

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked
        for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        ...

    def close(self) -> None:
        """Free what it holds; `run` fails afterwards."""
        ...


@runtime_checkable
class FeedingRuntime(Runtime, Protocol):
    """A runtime with a way of its own to put many texts to a graph."""

    def batches(
        self, rows: Sequence[Sequence[int]], *, tokens: int, padding: int
    ) -> Iterator[tuple[list[int], dict[str, Array]]]:
        """Yield every row of token numbers in a batch of rows of like length, of up to `tokens`
        numbers with padding: the rows' places, and `input_ids` and `attention_mask` [n, t].
        """
        ...
