"""The same graph in the form that OpenVINO computes fastest on a processor.

- OpenVINO multiplies whole numbers only where kernels are signed. It turns unsigned ones into
  float32 first, which takes twice as long: `signed_kernels` comes before this.
- OpenVINO cuts the joined product of queries, keys and values apart number by number, which takes
  as long as all norms and sums of a layer. Three products with a third of the kernel each need no
  cut.

Both give the same numbers to the last bit. Source: OpenVINO's operation set 15.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


def cut_products(model: Any, operations: Any) -> int:
    """Replace every product in whole numbers that is cut by columns with one product for each part;
    return how many were replaced. `model` is an openvino.Model and changes, `operations` the
    module of operation set 15.
    """
    found = [each for each in map(_product_of, model.get_ops()) if each is not None]
    for product in found:
        for part, columns in zip(product.split.outputs(), product.columns(), strict=True):
            replacement = product.part(columns, operations)
            replacement.set_friendly_name(part.get_node().get_friendly_name())
            for taker in list(part.get_target_inputs()):
                taker.replace_source_output(replacement.output(0))
    if found:
        model.validate_nodes_and_infer_types()
    return len(found)


@dataclass(frozen=True, slots=True)
class _Product:
    """A product that is cut by columns in `split`: `activations` times a kernel, plus a bias [m].

    The kernel is whole numbers [k, m] less `zero` [m], times `scale` [m].
    """

    split: Any
    activations: Any
    kernel: Any
    zero: Any
    scale: Any
    bias: Any

    def columns(self) -> Iterator[slice]:
        """The columns of each part."""
        begin = 0
        for size in _constant(self.split, 2).data.tolist():
            yield slice(begin, begin + size)
            begin += size

    def part(self, columns: slice, operations: Any) -> Any:
        """The product of these columns alone."""

        def floats(constant: Any) -> Any:
            own = np.ascontiguousarray(constant.data[..., columns])
            return operations.convert(operations.constant(own), "f32")

        def numbers(constant: Any) -> Any:
            return operations.constant(np.ascontiguousarray(constant.data[..., columns]))

        centred = operations.subtract(floats(self.kernel), floats(self.zero))
        kernel = operations.multiply(centred, numbers(self.scale))
        product = operations.matmul(self.activations, kernel, False, False)
        return operations.add(product, numbers(self.bias))


def _product_of(split: Any) -> _Product | None:
    """The product that `split` cuts, or None where the parts would not be the same numbers."""
    added = _source(split, "VariadicSplit", 0, "Add")
    product = _source(added, "Add", 0, "MatMul")
    kernel = _source(product, "MatMul", 1, "Multiply")
    centred = _source(kernel, "Multiply", 0, "Subtract")
    whole = _source(_source(centred, "Subtract", 0, "Convert"), "Convert", 0, "Constant")
    zero = _source(_source(centred, "Subtract", 1, "Convert"), "Convert", 0, "Constant")
    parts = [whole, zero, _constant(kernel, 1), _constant(added, 1)]
    sizes, axis = _constant(split, 2), _constant(split, 1)
    if any(part is None for part in (*parts, sizes, axis)):
        return None
    width = whole.data.shape[-1]
    plain = not any(product.get_attributes().values())
    lined_up = all(part.data.shape == (width,) for part in parts[1:])
    last = int(axis.data) in (-1, len(added.get_output_partial_shape(0)) - 1)
    counted = sizes.data.min() > 0 and int(sizes.data.sum()) == width
    alone = all(len(node.output(0).get_target_inputs()) == 1 for node in (added, product))
    if not (plain and lined_up and last and counted and alone and whole.data.ndim == 2):
        return None
    return _Product(split, product.input_value(0), *parts)


def _constant(node: Any, place: int) -> Any:
    """The constant at an input of `node`, or None."""
    return None if node is None else _source(node, node.get_type_name(), place, "Constant")


def _source(node: Any, kind: str, place: int, wanted: str) -> Any:
    """The input of `node` at `place`, if `node` is of this kind and its input of
    the kind `wanted`.
    """
    if node is None or node.get_type_name() != kind or node.get_input_size() <= place:
        return None
    source = node.input_value(place).get_node()
    return source if source.get_type_name() == wanted else None
