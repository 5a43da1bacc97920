"""The page of a model that was made smaller: what it lost and gained, and where."""

from __future__ import annotations

from pathlib import Path

from eval.report.page import draw_page
from eval.report.parts import (
    Headline,
    Part,
    Section,
    Table,
    Tone,
    count,
    facts_of,
    number,
    said,
    sentences,
    word,
)
from eval.report.plots import Line, Point, curves, forest
from inference.measuring.made_report import Cost, Judged, LayerError, MadeReport, Texts

PAGE = "report.html"


def write_page(report: MadeReport, folder: Path) -> None:
    """Write the page into the folder."""
    (folder / PAGE).write_text(made_page(report), encoding="utf-8")


def made_page(report: MadeReport) -> str:
    """Return an HTML file that says what the model lost and gained."""
    worst = tuple(_worst(one) for one in report.judged if one.worst)
    sections = [
        Section("In short", _short(report)),
        Section("What it takes", _costs(report.costs)),
        Section("On judged data", _judged(report.judged)),
        Section("What lost most", worst),
        Section("Layer by layer", _layers(report.layers)),
        Section("What it was made of", (_made(report),)),
    ]
    return draw_page(f"{report.name}, made of {report.source}", report.how, sections)


def _short(report: MadeReport) -> tuple[Part, ...]:
    if not report.judged:
        return (Headline("It was not judged: what it lost is unknown", "doubt"),)
    held = all(one.holds for one in report.judged)
    text = "No more than half a point is lost" if held else "More than half a point is lost"
    lines = [
        f"{one.dataset}: {100 * (one.after - one.before):+.2f} points of {one.measure}, "
        f"by 95 % {one.interval[0]:+.2f} to {one.interval[1]:+.2f}"
        for one in report.judged
    ]
    return (Headline(text, "good" if held else "bad"), *sentences(lines))


def _costs(costs: tuple[Cost, ...]) -> tuple[Part, ...]:
    rows = tuple(
        (
            word(one.what),
            number(one.before, 1),
            number(one.after, 1),
            number(one.after / one.before if one.before else float("nan"), 2, tone=_cheaper(one)),
        )
        for one in costs
    )
    return (Table(("", "before", "now", "times"), rows),) if rows else ()


def _cheaper(one: Cost) -> Tone:
    return "good" if one.after < one.before else "bad" if one.after > one.before else ""


def _judged(judged: tuple[Judged, ...]) -> tuple[Part, ...]:
    if not judged:
        return ()
    rows = tuple(
        (
            word(one.dataset, detail=one.measure),
            number(one.before),
            number(one.after),
            said(
                one.after - one.before,
                f"{100 * (one.after - one.before):+.2f}",
                f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}",
                "" if one.holds else "bad",
            ),
            count(one.better),
            count(one.worse),
        )
        for one in judged
    )
    head = ("set", "before", "now", "points", "rows better", "rows worse")
    points = [
        Point(one.dataset, 100 * (one.after - one.before), 0.0, *one.interval) for one in judged
    ]
    return (Table(head, rows), forest(points, "points", "Points by set, with 95 % intervals"))


def _worst(one: Judged) -> Table:
    rows = tuple((word(row.text), number(row.before, 3), number(row.after, 3)) for row in one.worst)
    return Table(("text", "before", "now"), rows, one.dataset)


def _layers(layers: tuple[LayerError, ...]) -> tuple[Part, ...]:
    if not layers:
        return sentences(["No texts were held out to compare layers on."])
    rows = tuple((word(one.layer), number(one.cosine, 6), number(one.snr_db, 1)) for one in layers)
    points = tuple(Point(one.layer, n, one.snr_db) for n, one in enumerate(layers, 1))
    drawn = curves(
        [Line("signal to noise", points)],
        ("layer, in the order of the graph", "signal to noise, dB"),
        "Where it loses likeness",
    )
    return (drawn, Table(("layer", "mean cosine", "signal to noise, dB"), rows))


def _made(report: MadeReport) -> Part:
    return facts_of(
        {
            "made in": f"{report.seconds:,.1f} s",
            "memory of the process at most": f"{report.peak_mb:,.0f} MB",
            **{f"fitted on {n}": _told(one) for n, one in enumerate(report.fitted, 1)},
            **{f"layers compared on {n}": _told(one) for n, one in enumerate(report.held_out, 1)},
        }
    )


def _told(texts: Texts) -> str:
    return f"{texts.name}: {texts.count:,}, sha256 {texts.digest}"
