"""The page of a gate: passed or failed, and why."""

from __future__ import annotations

from eval.compare.gate import Floor, Rule, Verdict
from eval.compare.outcomes import COLLECTION, SLICE, WHOLE
from eval.report.outcomes import outcome_forests, outcome_table
from eval.report.page import draw_page
from eval.report.parts import (
    Headline,
    Part,
    Section,
    Table,
    count,
    facts_of,
    number,
    sentences,
    word,
)
from eval.report.plots import Point, forest
from eval.report.texts import shown
from eval.runs.results import System


def gate_page(verdict: Verdict) -> str:
    """Return an HTML file that says why the gate passed or failed."""
    title = "The gate passed" if verdict.passed else "The gate failed"
    queries = sum(each.queries for each in verdict.collections)
    sections = [
        Section("Why", _why(verdict)),
        Section("All queries", _outcomes(verdict, WHOLE)),
        Section("Floors", _floors(verdict)),
        Section("Collections", _outcomes(verdict, COLLECTION)),
        Section("Slices", _outcomes(verdict, SLICE)),
        Section("What was held", (_rule(verdict.rule), *_provenance(verdict))),
    ]
    return draw_page(
        f"{title}: {verdict.system.name} against the baseline {verdict.baseline.name}",
        f"{queries:,} judged queries of {len(verdict.collections)} collections.",
        sections,
        f"The baseline was made {verdict.baseline_made_at}",
    )


def _why(verdict: Verdict) -> tuple[Part, ...]:
    text = "Passed" if verdict.passed else f"Failed, for {_counted(len(verdict.reasons))}"
    return (
        Headline(text, "good" if verdict.passed else "bad"),
        *sentences(verdict.reasons, tone="bad"),
        *sentences(verdict.warnings, "What a reader should know", "doubt"),
    )


def _counted(reasons: int) -> str:
    return "one reason" if reasons == 1 else f"{reasons} reasons"


def _outcomes(verdict: Verdict, kind: str) -> tuple[Part, ...]:
    rows, alpha = verdict.of(kind), verdict.rule.alpha
    if not rows:
        return ()
    table = outcome_table(rows, "over" if kind == WHOLE else kind, alpha, one_system=True)
    if kind == WHOLE:
        return (table,)
    title = f"By {kind}"
    return (*outcome_forests(rows, rows[0].measure, title, alpha), table)


def _floors(verdict: Verdict) -> tuple[Part, ...]:
    floors = verdict.floors
    if not floors:
        return ()
    points = [
        Point(each.group, each.mean - each.floor, 0.0, *_reach(each.mean - each.floor, each))
        for each in floors
    ]
    note = "A slice fails where its mean is under its floor by more than the allowance, which is "
    note += "half the width of its interval."
    rows = [
        (
            word(each.group),
            word(each.measure),
            count(each.queries),
            number(each.floor),
            number(each.mean),
            number(each.allowance),
            word("holds", "good") if each.passed else word("fails", "bad"),
        )
        for each in floors
    ]
    head = ("slice", "measure", "queries", "floor", "mean", "allowance", "verdict")
    plot = forest(points, f"{floors[0].measure} above its floor", "Slices against their floors")
    return (plot, Table(head, tuple(rows), "", note))


def _reach(middle: float, floor: Floor) -> tuple[float, float]:
    return middle - floor.allowance, middle + floor.allowance


def _rule(rule: Rule) -> Part:
    floors = {f"floor of {group}": floor for group, floor in rule.floors.items()}
    return facts_of(
        {
            "measures": rule.measures or "those of the baseline",
            "least effect": rule.least_effect,
            "alpha": rule.alpha,
            "each collection must hold": "yes" if rule.each_collection else "no",
            **floors,
        }
    )


def _provenance(verdict: Verdict) -> tuple[Part, ...]:
    digests = {
        f"{each.label}, {what}": digest
        for each in verdict.collections
        for what, digest in (
            ("documents, sha256", each.corpus_sha256),
            ("judgements, sha256", each.judgements_sha256),
        )
    }
    return (
        _system("The baseline", verdict.baseline),
        _system("What was judged", verdict.system),
        facts_of(digests, "Collections", folded=True),
    )


def _system(title: str, system: System) -> Part:
    settings = {f"setting {name}": value for name, value in sorted(system.settings.items())}
    models = {f"model {role}": digest for role, digest in sorted(system.models.items())}
    facts = {"profile": system.profile, "version": system.version, "ran": system.place}
    name = f"{title}: {shown(system.name, 60)}"
    return facts_of({**facts, **settings, **models, "index": system.index}, name, folded=True)
