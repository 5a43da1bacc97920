"""What each runtime gets in the place of a portable ONNX graph, computed from its bytes.

Every form gives the same answers as the portable graph to the last bit. Whoever changes what is
made here, or in the modules that it calls, raises `VERSION` in `kept_forms`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from inference.preparing.fused_attention import with_fused_attention
from inference.preparing.openvino_products import cut_products
from inference.preparing.signed_kernels import with_exact_kernels
from inference.runtimes.loading import library


def onnxruntime_form(graph: bytes) -> bytes:
    """The ONNX graph for ONNX Runtime on this processor; `graph` itself where nothing is to be
    changed. Raises ValueError for bytes that are no ONNX file.
    """
    return bytes(with_fused_attention(with_exact_kernels(graph)))


def openvino_form(
    graph: bytes, weights: Mapping[str, bytes], portable: str, properties: Mapping[str, Any]
) -> bytes:
    """The graph compiled by OpenVINO for this processor, as `Core.import_model` reads it.

    `portable` is the graph's format, `onnx` or `openvino`; the latter has its `weights` apart.
    """
    core = library("openvino").Core()
    if portable == "openvino":
        (apart,) = weights.values()
        model = core.read_model(graph, apart)
    else:
        model = core.read_model(io.BytesIO(with_exact_kernels(graph)))
        cut_products(model, library("openvino.opset15"))
    exported = core.compile_model(model, "CPU", dict(properties)).export_model()
    return exported if isinstance(exported, bytes) else bytes(exported.getbuffer())
