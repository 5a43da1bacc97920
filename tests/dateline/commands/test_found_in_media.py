"""`dateline search` prints where a hit opens, and which machine found the words of the query."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.items import Item, ItemType, Shot
from dateline.commands.options import console
from dateline.shown.search_output import _show_hit
from search.answers import Hit
from search.highlight import END, START
from search.opening import Opening

WHEN = datetime(2026, 3, 15, 16, tzinfo=UTC)
SHOTS = (Shot(0, 4, 0, 99, description="A quay", described_by="eye-2"), Shot(4, 8, 100, 199))
VIDEO = Item("urn:a", 1, ItemType.VIDEO, WHEN, WHEN, "urn:a", headline="Ferry", shots=SHOTS)
SAID = Opening("speech", 0, 5.25, 2, "Thank you", "ear-1 [x]")


def printed(hit: Hit) -> list[str]:
    with console.capture() as captured:
        _show_hit(hit, UTC, explain=False)
    return [line.strip() for line in captured.get().splitlines()[3:]]


@pytest.mark.parametrize(
    ("hit", "lines"),
    [
        (
            Hit(
                VIDEO,
                1,
                1.0,
                {"speech": f"{START}Thank{END} you"},
                "Thank you",
                opening=SAID,
                found_in={"speech": "ear-1 [x]"},
            ),
            [
                "shot 2, 00:00:04.000–00:00:08.000",
                "opens at 00:00:05.250, said, machine-made (ear-1 [x])",
                "said, machine-made (ear-1 [x]): Thank you",
            ],
        ),
        (
            Hit(VIDEO, 1, 1.0, {}, "Thank you", opening=SAID),  # by meaning alone
            [
                "Thank you",
                "shot 2, 00:00:04.000–00:00:08.000",
                "opens at 00:00:05.250, said, machine-made (ear-1 [x])",
            ],
        ),
        (
            Hit(VIDEO, 1, 1.0, {}, "A quay", opening=Opening("shotlist", 0, 0, 1, "A quay")),
            ["A quay", "shot 1, 00:00:00.000–00:00:04.000, machine-made (eye-2)"],
        ),
        (
            Hit(VIDEO, 1, 1.0, {"filename": "Ferry 2026"}, found_in={"filename": ""}),
            ["name of the file: Ferry 2026"],
        ),
    ],
)
def test_what_is_printed_below_a_hit(hit: Hit, lines: list[str]) -> None:
    assert printed(hit) == lines
