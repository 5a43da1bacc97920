"""Recipes that make the bundled models again; README.md describes them."""

import inference  # noqa: F401 - before ONNX Runtime, which would send telemetry
