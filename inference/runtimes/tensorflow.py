"""TensorFlow on the processor: a SavedModel, operator by operator or compiled by XLA.

A SavedModel is a program, and some of TensorFlow's operators read and write files or call Python.
So a file is read only if each of its operators is one that our export writes
(inference/models/saved_model.py). It is one file: weights are constants in it, and its graph is
taken from the bytes that were checked. TensorFlow's own loader, which reads folders, would also
restore variables and run what a graph wants to be run at its start.

XLA makes a program for each shape, which takes seconds. So texts are padded to fixed lengths and
batches to powers of two, and each shape waits once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.models.store import ModelFolder
from inference.runtime import Array
from inference.runtimes.buckets import (
    MASK,
    cut,
    length_of,
    lengths_up_to,
    padded_to,
    rows_of,
    size_of,
)
from inference.runtimes.loading import (
    asked,
    cores,
    graph_path,
    library,
    loading,
    opened,
    running,
)

SIGNATURES = {"graph": "serving_default", "xla": "xla"}  # by the runtime's option


@dataclass(slots=True)
class TensorFlowRuntime:
    """A loaded SavedModel. `run` may be called from several threads at once.

    TensorFlow has one number of threads for the whole process: that of the first model.
    """

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    lengths: tuple[int, ...]  # that texts are padded to; none where any will do
    _call: Any  # takes tensors in the order of `inputs`, gives them in that of `outputs`; or None
    _types: Mapping[str, Any]

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "graph") -> TensorFlowRuntime:
        """Load the folder's SavedModel from bytes whose checksum was just verified.

        `threads` work on one call; `option` is `graph` or `xla`. Raises ModelError for a model that
        can't be loaded, and where TensorFlow is not installed.
        """
        _, path = graph_path(folder, "tensorflow")
        where = str(folder.path / path)
        tensorflow = _tensorflow(threads)
        content = folder.read(path)
        with loading(where):
            proto = library("tensorflow.core.protobuf.saved_model_pb2")
            (meta,) = proto.SavedModel.FromString(content).meta_graphs
            told = meta.signature_def[SIGNATURES[option]]
            inputs, outputs = tuple(sorted(told.inputs)), tuple(sorted(told.outputs))
            whole = tensorflow.compat.v1.wrap_function(
                lambda: tensorflow.import_graph_def(meta.graph_def, name=""), []
            )
            call = whole.prune(
                [whole.graph.get_tensor_by_name(told.inputs[name].name) for name in inputs],
                [whole.graph.get_tensor_by_name(told.outputs[name].name) for name in outputs],
            )
            types = {
                name: tensorflow.dtypes.as_dtype(told.inputs[name].dtype).as_numpy_dtype
                for name in inputs
            }
        lengths = lengths_up_to(folder.manifest.max_tokens) if option == "xla" else ()
        return cls(where, inputs, outputs, "tensorflow", lengths, call, types)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        call = opened(self._call, self.where)
        feeds = asked(self, outputs, arrays, self._types)
        with running(self.where):
            rows, tokens = size_of(feeds)
            if self.lengths and MASK in feeds:
                length = length_of(tokens, self.lengths, self.where)
                feeds = padded_to(feeds, rows_of(rows), length)
            constant = library("tensorflow").constant
            given = call(*(constant(feeds[name]) for name in self.inputs))
            found = dict(zip(self.outputs, given, strict=True))
            return [cut(found[name].numpy(), rows, tokens) for name in outputs]

    def batches(
        self, rows: Sequence[Sequence[int]], *, tokens: int, padding: int
    ) -> Iterator[tuple[list[int], dict[str, Array]]]:
        """Yield the rows in batches, as `FeedingRuntime` says. tf.data makes the next ones in
        threads of its own while the graph computes.

        It gets the rows in the order of their length: in any other order a batch is padded to the
        longest of its bucket, a quarter more tokens.
        """
        tensorflow = library("tensorflow")
        places = np.argsort([*map(len, rows)], kind="stable").astype(np.int32)
        ordered = [rows[place] for place in places]
        ends = lengths_up_to(len(ordered[-1]))
        with running(self.where):
            ragged = tensorflow.RaggedTensor.from_row_lengths(
                np.concatenate([np.array(row, np.int32) for row in ordered]), [*map(len, ordered)]
            )
            data = tensorflow.data.Dataset.from_tensor_slices((places, ragged))
            data = data.map(lambda place, ids: (place, ids, tensorflow.ones_like(ids)))
            data = data.bucket_by_sequence_length(
                lambda _, ids, mask: tensorflow.size(ids),
                bucket_boundaries=[end + 1 for end in ends[:-1]],
                bucket_batch_sizes=[max(1, tokens // end) for end in ends],
                padding_values=(np.int32(0), np.int32(padding), np.int32(0)),
            )
            for place, ids, mask in data.prefetch(tensorflow.data.AUTOTUNE).as_numpy_iterator():
                yield place.tolist(), {"input_ids": ids, MASK: mask}

    def close(self) -> None:
        """Free the graph; `run` fails afterwards."""
        self._call = None


def _tensorflow(threads: int) -> Any:
    """Return TensorFlow, set to `threads` for a call unless it has begun to compute."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    tensorflow = library("tensorflow")
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(cores())
    except RuntimeError:
        pass
    return tensorflow
