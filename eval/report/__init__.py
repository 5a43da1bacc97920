"""Reports as one HTML file each: without network or other files, for phones and keyboards too.

A page is built from a few kinds of parts (`parts.py`), which one template draws; plots are inline
SVG (`plots.py`). Everything from a collection, a query or a service is data: `texts.py` cleans it,
and the template escapes it.

Every function returns the text of a file, and raises InputError if the extra `report` is not
installed. Its packages are loaded when the first page is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.extras import need_extra

if TYPE_CHECKING:
    from eval.compare.comparison import Comparison
    from eval.compare.drift import Week
    from eval.compare.experiment import Finding
    from eval.compare.gate import Verdict
    from eval.runs.results import RunResult
    from eval.tune.fusion.tuning import Tuning
    from eval.tune.graphs.growth import Growth, Prediction
    from eval.tune.graphs.sweep_report import Sweep

_PACKAGES = ("jinja2", "matplotlib")


def run_page(results: Sequence[RunResult]) -> str:
    """Return the page of one or more results. Raises InputError without results, or for one without
    queries.
    """
    need_packages()
    from eval.report import run

    return run.run_page(results)


def comparison_page(comparison: Comparison, runs: Sequence[RunResult]) -> str:
    """Return the page of a comparison; `runs` are all compared results, the baseline's too."""
    need_packages()
    from eval.report import comparison as page

    return page.comparison_page(comparison, runs)


def gate_page(verdict: Verdict) -> str:
    """Return the page that says why a gate passed or failed."""
    need_packages()
    from eval.report import gate

    return gate.gate_page(verdict)


def sweep_page(sweep: Sweep) -> str:
    """Return the page of an HNSW sweep: its cells, and which one to use."""
    need_packages()
    from eval.report import sweep as page

    return page.sweep_page(sweep)


def growth_page(
    growth: Growth,
    predictions: Sequence[Prediction] = (),
    *,
    about: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the page of one HNSW cell at growing sizes, and its predictions; `about` has the
    circumstances.
    """
    need_packages()
    from eval.report import growth as page

    return page.growth_page(growth, predictions, about=about, notes=notes)


def fusion_page(tuning: Tuning) -> str:
    """Return the page of a tuning of fusion's weights."""
    need_packages()
    from eval.report import fusion

    return fusion.fusion_page(tuning)


def experiment_page(finding: Finding, said: Sequence[str]) -> str:
    """Return the page of an experiment; `said` are sentences on its length and limits."""
    need_packages()
    from eval.report import experiment

    return experiment.experiment_page(finding, said)


def drift_page(found: Sequence[Week]) -> str:
    """Return the page of what searches became, week by week."""
    need_packages()
    from eval.report import drift

    return drift.drift_page(found)


def need_packages() -> None:
    """Raise InputError if pages can't be drawn. Call it before long work, not after."""
    need_extra("report", "HTML reports", _PACKAGES)
