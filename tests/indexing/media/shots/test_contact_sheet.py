"""The contact sheet: one file, everything in it, nothing of it markup that a file brought."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from core.media import MediaFacts, MediaKind, ShotBounds, Still, Transition
from indexing.media.shots.contact_sheet import Sheet, contact_sheet
from indexing.media.shots.timecodes import timecode

HOSTILE = "</title><script>alert(1)</script>\u202e{{ 7 * 7 }}\x1b[2J.mp4"
FACTS = MediaFacts(MediaKind.VIDEO, "video/mp4", "h264<b>", 1280, 720, 0, 12.5, 29.97)


def shot(start: float, end: float, transition: Transition) -> ShotBounds:
    return ShotBounds(start, end, round(start * 30), round(end * 30) - 1, transition)


def still(second: float, colour: str) -> Still:
    out = io.BytesIO()
    Image.new("RGB", (32, 18), colour).save(out, "JPEG")
    return Still(second, out.getvalue(), 32, 18, "0" * 64)


SHOTS = [
    shot(0, 4, Transition.START),
    shot(4, 9.25, Transition.CUT),
    shot(9.25, 10, Transition.GRADUAL),
    shot(11, 4000, Transition.GAP),
]
STILLS = [still(2, "red"), still(6, "green"), None, still(11, "blue")]
SHEET = Sheet(HOSTILE, FACTS, SHOTS, STILLS, (HOSTILE, "second note"), "shots by a model")


class Outline(HTMLParser):
    """What a browser sees of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_each_shot_has_its_still_timecodes_and_transition() -> None:
    outline = Outline(contact_sheet(SHEET))
    text = " ".join(" ".join(outline.text).split())
    pictures = outline.of("img")
    assert len(pictures) == 3
    for picture, expected in zip(pictures, (STILLS[0], STILLS[1], STILLS[3]), strict=True):
        assert expected is not None
        kind, _, data = str(picture["src"]).partition(";base64,")
        assert kind == "data:image/jpeg"
        assert base64.b64decode(data) == expected.jpeg
        assert picture["alt"]
    assert text.count("no still could be taken") == 1
    assert "00:00:04.000 – 00:00:09.250" in text
    assert "00:00:11.000 – 01:06:40.000" in text
    assert "frames 120–277" in text
    for named in ("start", "cut", "gradual", "after a gap"):
        assert named in text
    assert "4 shots · 00:00:12.500 · 1280 × 720 · 29.97 frames/s" in text


def test_what_a_file_says_is_text_and_nothing_is_fetched() -> None:
    page = contact_sheet(SHEET)
    outline = Outline(page)
    assert outline.of("script") == []
    assert outline.of("b") == []
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{ 7 * 7 }}" in "".join(outline.text)
    addresses = [
        str(value)
        for _, attributes in outline.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert all(address.startswith(("data:", "#shot-")) for address in addresses)
    assert "url(" not in page
    policy = [str(meta["content"]) for meta in outline.of("meta") if "http-equiv" in meta]
    assert policy
    assert policy[0].startswith("default-src 'none'")
    assert "script-src" not in policy[0]


def test_the_strip_has_a_part_for_each_shot_as_wide_as_it_is_long() -> None:
    links = Outline(contact_sheet(SHEET)).of("a")
    shares = [re.sub(r"[^0-9.]", "", str(link["style"])) for link in links]
    assert shares == ["4.000", "5.250", "0.750", "3989.000"]
    ids = {item.get("id") for item in Outline(contact_sheet(SHEET)).of("li")}
    assert {str(link["href"]).removeprefix("#") for link in links} <= ids


def test_a_sheet_without_shots_says_so() -> None:
    page = contact_sheet(Sheet("silent.mp4", FACTS, [], []))
    assert "No shots" in page
    assert "0 shots" in page


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3661.2345, "01:01:01.234"),
        (360_000, "100:00:00.000"),
        (-0.001, "00:00:00.000"),
    ],
)
def test_timecodes(seconds: float, written: str) -> None:
    assert timecode(seconds) == written
