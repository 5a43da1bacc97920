"""Writes the ninjs schemas that api/formats/ninjs.py reads: IPTC's own, without their sentences.

python -P scripts/ninjs_schemas.py FOLDER    FOLDER has ninjs-schema_1.4.json to _3.1.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

VERSIONS = ("1.4", "1.6", "2.1", "2.2", "3.0", "3.1")
INTO = Path(__file__).parents[1] / "api/formats/ninjs_schemas"
_NAMED = ("properties", "patternProperties", "$defs", "definitions")  # their members are names


def bare(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without titles and descriptions."""
    if isinstance(schema, list):
        return [bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: bare(part, names=not names and name in _NAMED)
        for name, part in schema.items()
        if names or name not in ("title", "description")
    }


def written(version: str, folder: Path) -> str:
    """Return the text of the schema of a version."""
    schema = json.loads((folder / f"ninjs-schema_{version}.json").read_text(encoding="utf-8"))
    return json.dumps(bare(schema), separators=(",", ":"), ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for version in VERSIONS:
        (INTO / f"{version}.json").write_text(written(version, Path(sys.argv[1])), encoding="utf-8")
