"""The demo's keys, products and examples."""

from __future__ import annotations

from pathlib import Path

import orjson

from api.access.services import Example

DEMO_PRODUCTS = ("demo", "demo-sport")
DEMO_READ_KEY = "demo-reader"
DEMO_INGEST_KEY = "demo-ingest"


def read_examples(path: Path) -> tuple[Example, ...]:
    """Return the page's clickable examples, from a JSON list of {label, q or text, why}."""
    if not path.is_file():
        return ()
    return tuple(
        Example(
            entry["label"],
            {name: entry[name] for name in ("q", "text") if name in entry},
            entry.get("why", ""),
        )
        for entry in orjson.loads(path.read_bytes())
    )
