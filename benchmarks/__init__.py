"""Benchmarks: each module is a command that prints its figures and the machine's."""

import inference  # noqa: F401 - before ONNX Runtime, which would send telemetry
