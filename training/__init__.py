"""Where do the bundled models come from? Recipes that make them again; see README.md."""

import inference  # noqa: F401 - before ONNX Runtime, which would send telemetry
