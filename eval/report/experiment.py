"""The page of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from core.customers.experiments import Way
from eval.compare.experiment import Finding
from eval.compare.sequential import ALPHA
from eval.report.page import draw_page
from eval.report.parts import Facts, Headline, Plot, Section, Sentences, Tone
from eval.report.plots import Line, Point, curves

_TONES: dict[str, Tone] = {"candidate": "good", "base": "bad", "open": "doubt"}


def experiment_page(finding: Finding, said: Sequence[str]) -> str:
    """Return an HTML file about an experiment; `said` are sentences on its length and limits."""
    experiment = finding.experiment
    sections = [
        Section(
            "Result", (Headline(verdict_said(finding), _TONES[finding.verdict]), _facts(finding))
        ),
        Section("Day by day", _plots(finding)),
        Section("How to read it", (Sentences(tuple(said)), Sentences(_RULES[experiment.way]))),
    ]
    summary = (
        f"{experiment.candidate_name} against {experiment.base_name}, {_WAYS[experiment.way]}."
    )
    return draw_page(f"Experiment {experiment.name}", summary, sections)


_WAYS = {Way.INTERLEAVE: "in one mixed list", Way.AB: "by callers in two groups"}
_LEVEL = f"The e-value reaches {1 / ALPHA:.0f} in at most {ALPHA:.0%} of experiments"
_RULES = {
    Way.INTERLEAVE: (
        "The first click of a query is a vote for the version that put the hit there.",
        "A click on what both put at the same place is no vote.",
        f"{_LEVEL} without a preference, however often it is looked at.",
        "A preference of clicks is no grade: compare with judged sets before you promote.",
    ),
    Way.AB: (
        "A caller is one value: the share of its first ten queries with a click within an hour.",
        f"{_LEVEL} without a difference, however often it is looked at.",
        "More clicks are not always better: who finds the answer in the list clicks nothing.",
    ),
}


def verdict_said(finding: Finding) -> str:
    """Return the result in one line."""
    name = finding.experiment.candidate_name
    other = finding.experiment.base_name
    if finding.verdict == "open":
        return f"Open: chance explains what is between {name} and {other} so far"
    better, worse = (name, other) if finding.verdict == "candidate" else (other, name)
    return f"{better} is better than {worse}: e-value {finding.evidence.most:,.3g}"


def _facts(finding: Finding) -> Facts:
    experiment, (low, high) = finding.experiment, finding.interval
    pairs = [
        ("started", f"{experiment.started:%Y-%m-%d %H:%M} UTC"),
        (
            "stopped",
            f"{experiment.stopped:%Y-%m-%d %H:%M} UTC" if experiment.stopped else "it runs",
        ),
        ("queries", f"{finding.queries:,}"),
    ]
    if experiment.way is Way.INTERLEAVE:
        share = finding.wins / finding.units if finding.units else 0.5
        pairs += [
            (f"votes for {experiment.candidate_name}", f"{finding.wins:,}"),
            (f"votes for {experiment.base_name}", f"{finding.losses:,}"),
            ("share of votes for the candidate", f"{share:.1%}, between {low:.1%} and {high:.1%}"),
        ]
    else:
        pairs += [
            (
                f"callers of {experiment.candidate_name}",
                f"{finding.wins:,}, {finding.means[0]:.1%}",
            ),
            (f"callers of {experiment.base_name}", f"{finding.losses:,}, {finding.means[1]:.1%}"),
        ]
    evidence = finding.evidence
    pairs.append(("e-value now, and the largest", f"{evidence.now:.3g}, {evidence.most:.3g}"))
    return Facts(tuple(pairs))


def _plots(finding: Finding) -> tuple[Plot, ...]:
    if not finding.daily:
        return ()
    start = finding.experiment.started
    points = [
        Point(f"{at:%Y-%m-%d}: {units:,}", (at - start).total_seconds() / 86_400, value)
        for at, units, value in finding.daily
    ]
    last = points[-1].x
    level = [Point("", 0.0, 1 / ALPHA), Point("", max(last, 1.0), 1 / ALPHA)]
    decided = Line(f"decided at {1 / ALPHA:.0f}", tuple(level), predicted=True)
    lines = [Line("e-value", tuple(points)), decided]
    return (curves(lines, ("days", "e-value"), "Evidence by day", log="y"),)
