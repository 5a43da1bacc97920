"""Supplied shot lists: read as people write them, and aligned to the shots that were detected."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentError
from core.items import Shot
from indexing.media.shots.aligning import aligned
from indexing.media.shots.shot_lists import (
    MAX_LINES,
    ListedShot,
    in_seconds,
    lines_of,
    lines_of_json,
)

RATE = 25.0


def read(text: str, suffix: str, duration: float = 60.0) -> list[tuple[float, float, str]]:
    lines = in_seconds(lines_of(text.encode(), suffix), RATE, duration)
    return [(round(one.start_s, 3), round(one.end_s, 3), one.description) for one in lines]


def shots_of(*ends: float) -> tuple[Shot, ...]:
    starts = (0.0, *ends[:-1])
    return tuple(
        Shot(start, end, round(start * RATE), round(end * RATE) - 1)
        for start, end in zip(starts, ends, strict=True)
    )


CODES = """tc in;tc out;shot
00:00:01:05;00:00:03:00;Wide of harbour
00:00:03:00;;Ferry leaves"""
SUBRIP = """1
00:00:01,200 --> 00:00:03,000
Wide of
harbour

2
00:00:03,000 --> 00:01:00,000
<i>Ferry</i> leaves
"""
WEBVTT = """WEBVTT

id 7
00:01.200 --> 00:03.000 align:left
Wide of harbour

00:03.000 --> 01:00.000
Ferry leaves"""


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "00:00:01:05 - 00:00:03:00 Wide of harbour\n00:00:03:00 Ferry leaves"),
        (".txt", "1. 00:01.200 – 00:03 Wide of harbour\n2. [00:03] Ferry   leaves"),
        (".csv", CODES),
        (".csv", "1.2,3,Wide of harbour\n3,,Ferry leaves"),
        (".csv", "Start,Description\n00:00:01.200,Wide of harbour\n0:03,Ferry leaves\n"),
        (".srt", SUBRIP),
        (".vtt", WEBVTT),
    ],
)
def test_every_format_says_the_same(suffix: str, text: str) -> None:
    assert read(text, suffix) == [(1.2, 3.0, "Wide of harbour"), (3.0, 60.0, "Ferry leaves")]


def test_json_under_any_of_its_names() -> None:
    for tree in (
        b'[{"start_s": 1.2, "end_s": 3, "text": "Wide"}]',
        b'{"shots": [{"In": "00:00:01:05", "OUT": "0:03", "Description": "Wide"}]}',
    ):
        (line,) = in_seconds(lines_of_json(tree), RATE, 60.0)
        assert line == ListedShot(1.2, 3.0, "Wide")


def test_a_list_in_an_old_encoding_is_read() -> None:
    (line,) = lines_of("0:01 Château by night".encode("cp1252"), ".txt")
    assert line["description"] == "Château by night"


def test_tape_time_counts_from_its_hour_and_a_late_line_stays_late() -> None:
    assert [one[:2] for one in read("10:00:02:00 A\n10:00:04:00 B", ".txt", 8.0)] == [
        (2, 4),
        (4, 8),
    ]
    # A line at an hour that the video does have is no tape's.
    assert read("01:00:02:00 A", ".txt", 7200.0)[0][0] == 3602


@pytest.mark.parametrize(
    "text", ["", "\n\n", "start,end,description\n", "start,end,description\n1,2,\n"]
)
def test_a_list_without_a_description_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="without a description"):
        lines_of(text.encode(), ".csv")


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(DocumentError, match="over"):
        lines_of(b"0:01 a\n" * (MAX_LINES + 1), ".txt")


@pytest.mark.parametrize("suffix", [".txt", ".srt", ".csv", ".vtt"])
@pytest.mark.timed
def test_hostile_texts_take_no_time(suffix: str) -> None:
    for text in (
        " " * 10**6,
        "12:00" + " " * 10**6,
        "-->" * 10**5,
        "1:00 --> " * 10**5,
        "\n\t" * 10**5,
    ):
        started = time.process_time()
        with suppress(DocumentError):
            lines_of(text.encode(), suffix)
        assert time.process_time() - started < 2


@given(st.binary(max_size=300), st.sampled_from([".txt", ".srt", ".csv", ".vtt", ".json"]))
def test_any_bytes_are_lines_or_a_document_error(data: bytes, suffix: str) -> None:
    try:
        lines = lines_of_json(data) if suffix == ".json" else lines_of(data, suffix)
    except DocumentError:
        return
    for one in in_seconds(lines, RATE, 30.0):
        assert one.description.strip() == one.description != ""
        assert one.start_s == -1 or 0 <= one.start_s <= one.end_s


def test_a_line_over_several_shots_describes_each_and_a_shot_may_have_two() -> None:
    shots = shots_of(2, 4, 6, 10)
    lines = [ListedShot(0, 5.9, "Harbour"), ListedShot(6, 8, "Captain"), ListedShot(8, 10, "Crew")]
    found, rest = aligned(shots, lines, RATE)
    assert [shot.description for shot in found] == [
        "Harbour",
        "Harbour",
        "Harbour",
        "Captain / Crew",
    ]
    assert rest == ""
    assert [replace(shot, description="") for shot in found] == list(shots)


def test_a_line_a_little_off_describes_its_own_shot_only() -> None:
    found, _ = aligned(shots_of(4, 8, 12), [ListedShot(4.4, 8.3, "Ferry")], RATE)
    assert [shot.description for shot in found] == ["", "Ferry", ""]


def test_a_short_line_describes_the_shot_it_lies_in() -> None:
    found, _ = aligned(
        shots_of(30, 60), [ListedShot(10, 11, "Anchor"), ListedShot(30, 30, "Now")], RATE
    )
    assert [shot.description for shot in found] == ["Anchor", "Now"]


def test_what_no_shot_is_described_by_is_kept() -> None:
    found, rest = aligned(
        shots_of(4), [ListedShot(70, 75, "Beyond"), ListedShot(-1, -1, "Loose")], RATE
    )
    assert [shot.description for shot in found] == [""]
    assert rest == "Loose\n00:01:10.000 Beyond"


def test_lines_without_times_go_by_number_or_are_kept() -> None:
    lines = [ListedShot(-1, -1, "One"), ListedShot(-1, -1, "Two")]
    assert [shot.description for shot in aligned(shots_of(1, 2), lines, RATE)[0]] == ["One", "Two"]
    assert aligned(shots_of(1, 2, 3), lines, RATE)[1] == "One\nTwo"


def test_without_detected_shots_the_lines_are_the_shots() -> None:
    found, _ = aligned((), [ListedShot(0, 2, "A"), ListedShot(1.5, 4, "B")], RATE)
    assert [(s.start_s, s.end_s, s.start_frame, s.end_frame) for s in found] == [
        (0, 2, 0, 49),
        (2, 4, 50, 99),
    ]
    assert [(s.transition, s.description) for s in found] == [("start", "A"), ("cut", "B")]


def test_a_line_for_which_no_time_is_left_is_kept_as_text() -> None:
    lines = [ListedShot(0, 10, "A"), ListedShot(5, 8, "B"), ListedShot(12, 12, "C")]
    found, rest = aligned((), lines, RATE)
    assert [shot.description for shot in found] == ["A"]
    assert rest == "00:00:05.000 B\n00:00:12.000 C"


@pytest.mark.timed
def test_many_long_lines_over_many_shots_end_soon() -> None:
    shots = shots_of(*(float(n) for n in range(1, 20_001)))
    lines = [ListedShot(0, 20_000, f"line {n}") for n in range(2_000)]
    started = time.process_time()
    found, rest = aligned(shots, lines, RATE)
    assert time.process_time() - started < 5
    assert found[0].description.startswith("line 0 / line 1")
    assert "line 1999" in rest


@given(
    st.lists(st.floats(0.1, 5), min_size=1, max_size=8),
    st.lists(st.tuples(st.floats(0, 40), st.floats(0, 10)), max_size=8),
)
def test_every_line_is_told_somewhere(
    lengths: list[float], spans: list[tuple[float, float]]
) -> None:
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    lines = [ListedShot(a, a + b, f"word{n}") for n, (a, b) in enumerate(spans)]
    found, rest = aligned(shots_of(*ends), lines, RATE)
    for line in lines:
        within = [s for s in found if line.description in s.description.split(" / ")]
        assert bool(within) != (line.description in rest)
        assert all(s.start_s <= line.end_s and line.start_s <= s.end_s for s in within)
