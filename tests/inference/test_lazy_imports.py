"""What a process pays for `inference` before it loads a model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_IMPORTS_ALL = """
import importlib, pkgutil, sys
import inference
for module in pkgutil.walk_packages(inference.__path__, "inference."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"faiss", "onnxruntime", "openvino", "tokenizers", "torch", "transformers"}


def test_no_module_imports_a_runtime_or_a_tokenizer_before_a_model_is_loaded() -> None:
    command = [sys.executable, "-P", "-c", _IMPORTS_ALL]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "numpy" in loaded
    assert HEAVY & set(loaded) == set()


def test_openvino_finds_nothing_to_send_telemetry_with(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry.py").write_text("")
    asks = """
import inference
try:
    import openvino_telemetry
except ImportError:
    print("none")
"""
    found = subprocess.run(
        [sys.executable, "-P", "-c", asks],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert found.stdout == "none\n"
