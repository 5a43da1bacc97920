"""One video in every form, whole: what a change of a form changes is seen in golden_video.json.

To write the file again: `python -m tests.api.formats.test_forms_golden`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api.formats.ninjs import ninjs
from tests.api.formats.answers import PHOTO, READER, VIDEO, ap, item_of, newsroom

GOLDEN = Path(__file__).with_name("golden_video.json")


def forms() -> dict[str, Any]:
    video, photo = item_of(VIDEO), item_of(PHOTO)
    library = newsroom(video, photo)
    return {
        "ninjs as it came": ninjs(video, READER, library).document,
        "ninjs 1.4": ninjs(video, READER, library, "1.4").document,
        "ninjs 2.1": ninjs(video, READER, library, "2.1").document,
        "AP's content item": ap(video, photo),
        "our own item": ap(video, photo, addresses=None),
        "our own hit": ap(video, photo, addresses=None, whole=False),
    }


def test_a_video_in_every_form() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    told = json.loads(json.dumps(forms()))
    assert told == golden
    assert {name: list(one) for name, one in told.items()} == {
        name: list(one) for name, one in golden.items()
    }  # members stay in their order


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(forms(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
