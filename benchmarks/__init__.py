"""Figures: each module is a command that prints its own and the machine's."""

import inference  # noqa: F401 - before ONNX Runtime, which would send telemetry
