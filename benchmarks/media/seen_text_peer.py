"""rapidocr with its own defaults, for benchmarks/media/seen_text.py.

    PYTHON -P benchmarks/media/seen_text_peer.py FOLDER

Reads every JPEG of the folder in order and prints a JSON line with its version, milliseconds a
picture and the lines. It imports nothing of Dateline's.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer for one folder."""
    engine: Any = importlib.import_module("rapidocr").RapidOCR(params={"Global.log_level": "error"})
    paths = sorted(Path(sys.argv[1]).glob("*.jpg"))
    began, lines = time.perf_counter(), []
    for path in paths:
        found = engine(str(path))
        lines.append([] if found.txts is None else [str(text) for text in found.txts])
    ms = 1000 * (time.perf_counter() - began) / max(1, len(paths))
    print(json.dumps({"version": version("rapidocr"), "ms": ms, "lines": lines}))


if __name__ == "__main__":
    main()
