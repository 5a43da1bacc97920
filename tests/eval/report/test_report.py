"""Pages as files: whole, quiet, and never markup where there should be text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import extras
from core.errors import InputError
from eval import report
from eval.report.page import draw_page
from eval.report.parts import Cell, Section, Table, table_of
from eval.report.plots import Point, forest, quality_against_latency, waterfall
from eval.report.texts import decimal, interval, milliseconds, probability, shown
from tests.eval.report import samples as samples

# What a page of ours is made of, SVG last; a tag beyond these came from somebody's text.
TAGS = frozenset(
    re.findall(
        r"\w+",
        "a b bdi body button dd details div dl dt figcaption figure h1 h2 h3 h4 head header html "
        "li link main meta nav ol p script section small span style summary table tbody td th "
        "thead title tr ul clippath defs g path rect svg text tspan use",
    )
)

PAGES: dict[str, Callable[[], str]] = {
    "run": lambda: report.run_page([samples.result(hostile=True, collection=samples.HOSTILE[2])]),
    "comparison": lambda: report.comparison_page(*samples.comparison(hostile=True)),
    "gate": lambda: report.gate_page(samples.verdict(-0.04, 0.9, hostile=True)),
    "sweep": lambda: report.sweep_page(samples.sweep()),
    "growth": lambda: report.growth_page(
        *samples.growth(), about={samples.HOSTILE[0]: samples.HOSTILE[1]}, notes=samples.HOSTILE
    ),
    "fusion": lambda: report.fusion_page(samples.tuning(gain=0.05)),
}


class Page(HTMLParser):
    """Tags, attributes, ids and the text of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "xlink:href", "action", "srcset"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@cache
def page_of(name: str) -> str:
    """Drawn once for all tests."""
    return PAGES[name]()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_one_file_without_anything_from_elsewhere(name: str) -> None:
    page = Page(page_of(name))
    assert all(address.startswith(("#", "data:,")) for address in page.addresses)
    assert "@import" not in page_of(name)
    assert not re.search(r"url\((?!#)", page_of(name))
    assert "default-src 'none'" in page_of(name)


@pytest.mark.parametrize("name", PAGES)
def test_hostile_text_stays_text(name: str) -> None:
    page = Page(page_of(name))
    assert page.tags <= TAGS
    assert page.scripts == 1
    assert not {found for found in page.attributes if found.startswith("on")}
    assert "<script>document" not in page_of(name)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page_of(name))
    page_of(name).encode("utf-8")  # a lone surrogate has no bytes


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique(name: str) -> None:
    ids = Page(page_of(name)).ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["run", "sweep", "fusion"])
def test_the_same_facts_give_the_same_file(name: str) -> None:
    assert PAGES[name]() == page_of(name)


def test_what_hostile_text_says_is_still_shown() -> None:
    text = Page(page_of("run")).text
    assert "<script>document.title='owned'</script>" in text
    assert "{{ 7*7 }}" in text
    assert "49 {% raw" not in text
    assert "(10,000 characters)" in text
    assert "x" * 300 not in text


# --- what pages say


def test_a_run_says_its_mean_interval_flags_and_origin() -> None:
    result = samples.result(hostile=True)
    text = Page(report.run_page([result])).text
    assert decimal(result.mean("nDCG@10")) in text
    assert "Answered without a stage (12): tagger" in text
    assert "Refused (1): " in text
    assert "kind=event" in text
    assert "c" * 64 in text
    assert "setting lexical_weight" in text


def test_one_query_has_no_interval() -> None:
    result = samples.result(count=1)
    page = Page(report.run_page([result]))
    assert "One query has no interval" in page.text
    assert "[" not in page.text.split("Quality against latency")[0].split("Means")[1]


def test_a_run_whose_values_are_all_zero_or_without_documents_can_be_drawn() -> None:
    result = samples.result(count=5)
    rows = tuple(
        replace(row, values=dict.fromkeys(row.values, 0.0), documents=(), unjudged=0)
        for row in result.rows
    )
    text = Page(report.run_page([replace(result, rows=rows)])).text
    assert "No documents (5): these queries count 0." in text
    assert "5 of 5 queries have 0" in text


def test_nothing_to_report_is_an_error() -> None:
    with pytest.raises(InputError, match="no result"):
        report.run_page([])
    with pytest.raises(InputError, match="no queries"):
        report.run_page([replace(samples.result(), rows=())])


def test_a_comparison_says_who_is_better_by_how_much_and_what_was_changed() -> None:
    found, runs = samples.comparison()
    text = Page(report.comparison_page(found, runs)).text
    best = next(row for row in found.of("all queries") if row.system == "tuned")
    assert best.p_holm < 0.05
    assert f"tuned: better, nDCG@10 {decimal(best.difference, signed=True)}" in text
    assert "lexical: worse" in text
    assert f"{best.wins} won, {best.losses} lost" in text
    assert "not judged" in text
    assert "grade 1" in text
    changed = text.split("What was set otherwise")[-1]
    assert "lexical_weight" in changed
    assert "entity_boost" not in changed.split("How this was made")[0]


def test_a_comparison_that_shows_nothing_says_so() -> None:
    found, runs = samples.comparison()
    rows = tuple(replace(row, p_holm=0.3) for row in found.outcomes)
    text = Page(report.comparison_page(replace(found, outcomes=rows), runs)).text
    assert "tuned: no difference is shown" in text
    assert "better" not in text.split("Notes")[0].split("Summary")[-1].replace("is better", "")


def test_a_gate_says_why() -> None:
    failed = samples.verdict(-0.04, 0.9)
    text = Page(report.gate_page(failed)).text
    assert f"Failed, for {len(failed.reasons)} reasons" in text
    assert all(reason in text for reason in failed.reasons)
    passed = samples.verdict(0.0, 0.1)
    assert passed.passed
    assert "The gate passed" in Page(report.gate_page(passed)).text


def test_a_sweep_names_its_cell_what_it_misses_and_the_edge() -> None:
    met = samples.sweep()
    assert met.recommendation.met
    text = Page(report.sweep_page(met)).text
    assert "Meets recall .98" in text
    assert text.count("recommended") >= 1
    missed = Page(report.sweep_page(samples.sweep("recall .9999, p95 under 0.1 ms"))).text
    assert "Nothing meets" in missed
    assert "misses recall .9999" in missed
    assert "at the grid's edge" in missed
    assert "0.1 %" in missed  # the narrowest filter


def test_growth_says_what_is_a_guess() -> None:
    found, predictions = samples.growth()
    text = Page(report.growth_page(found, predictions)).text
    assert "a guess: far beyond what was measured" in text
    assert "100,000,000" in text
    assert "66.7" in text  # per cent of the largest size that are real vectors


def test_fusion_reports_the_nested_figure() -> None:
    gain, chance = samples.tuning(gain=0.05), samples.tuning()
    text = Page(report.fusion_page(gain)).text
    assert f"Change the weights. nDCG@10 {decimal(gain.difference, signed=True)}" in text
    assert "Change the weights" not in Page(report.fusion_page(chance)).text


# --- parts


def test_the_template_escapes_every_kind_of_text() -> None:
    evil = '"><img src=x onerror=1>'
    rows = [{evil: evil, "number": 1.5, "none": None, "list": [evil, 2]}]
    parts = (table_of(rows, evil, evil), Table((evil,), ((Cell(evil, evil, evil),),)))
    page = Page(draw_page(evil, evil, [Section(evil, parts)], evil))
    assert "img" not in page.tags
    assert "onerror" not in page.attributes


def test_a_name_in_a_plot_is_neither_markup_nor_mathematics() -> None:
    point = Point("<b>$\\frac{1}{2}$ \x00 ]]></b>", 0.1, 0.0, -0.1, 0.3)
    svg = forest([point], "difference", "<i>title</i>").svg
    assert "<b>" not in svg
    assert "&lt;b&gt;$\\frac{1}{2}$" in svg
    assert "<i>" not in svg


def test_plots_follow_the_page_s_colours() -> None:
    svg = quality_against_latency([Point("a", 10, 0.5, 0.4, 0.6, until=30)], "nDCG@10").svg
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)) <= {"#000000"}
    assert "var(--s0)" in svg
    assert "<style" not in svg


def test_thousands_of_queries_make_no_large_plot() -> None:
    differences = np.random.default_rng(1).normal(0, 0.1, 50_000)
    plot = waterfall(differences, "nDCG@10", "all")
    assert len(plot.svg) < 60_000
    assert f"{(differences > 0).sum():,} won" in plot.note


def test_points_without_a_place_are_left_out() -> None:
    points = [Point("none", float("nan"), float("nan")), Point("zero", 0.0, 0.5)]
    assert quality_against_latency(points, "AP").legend == ()


@given(st.text(max_size=400))
def test_shown_text_is_one_short_line_of_visible_characters(text: str) -> None:
    line = shown(text, 50)
    assert line
    assert len(line) <= 50 + len("… (400 characters)")
    assert line.isprintable() or re.search(r"[\u200c\u200d\u00a0\u2000-\u200a\u3000]", line)
    line.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\n c", "a b c"),
        ("", "–"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("\u202eabc", "\ufffdabc"),
        ("1234567890abc", "1234567890… (13 characters)"),
    ],
)
def test_shown(text: str, expected: str) -> None:
    assert shown(text, 10) == expected


def test_numbers_are_shown_alike_everywhere() -> None:
    assert decimal(0.44321) == "0.4432"
    assert decimal(-0.02, signed=True) == "\u22120.0200"
    assert decimal(float("nan")) == "–"
    assert interval(0.1, 0.25, 2) == "[0.10, 0.25]"
    assert interval(float("nan"), 1.0) == ""
    assert [milliseconds(value) for value in (0.4231, 12.34, 1240.2)] == ["0.42", "12.3", "1,240"]
    assert [probability(value) for value in (0.0004, 0.0123, 1.0)] == ["<0.001", "0.012", "1.000"]


def test_without_its_packages_a_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="jinja2, matplotlib") as caught:
        report.run_page([samples.result()])
    assert "dateline-search[report]" in caught.value.mend
