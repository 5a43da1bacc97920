"""The demo's photographs and clips: each says who made it and under which licence."""

from __future__ import annotations

import json
from pathlib import Path

DEMO = Path(__file__).parents[2] / "datasets/demo"
FILES = sorted(p for p in (DEMO / "media").iterdir() if p.suffix not in (".json", ".vtt"))
FREE = ("CC0 1.0", "public domain", "Public domain")


def test_each_file_has_its_licence_beside_it_and_its_source_in_the_list() -> None:
    listed = (DEMO / "MEDIA.md").read_text("utf-8")
    for path in FILES:
        said = json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))
        assert said["copyrightnotice"]
        assert any(word in said["usageterms"] for word in FREE)
        assert f"`{path.name}`" in listed


def test_there_are_a_dozen_photographs_and_two_clips_in_few_bytes() -> None:
    assert sum(path.suffix == ".jpg" for path in FILES) >= 12
    assert sum(path.suffix == ".mp4" for path in FILES) == 2
    assert sum(path.stat().st_size for path in FILES) < 6 * 2**20
