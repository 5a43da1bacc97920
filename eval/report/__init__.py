"""Reports as one HTML file each: no network, no file beside it, read on a phone and by keyboard.

What a page holds is built from a few kinds of parts (`parts.py`), drawn by one template, with plots
as inline SVG (`plots.py`). Everything that came from a collection, a query or a service is data:
cleaned by `texts.py`, escaped by the template.

Every function gives the text of a file, and raises InputError where the extra `report` is not
installed. Its packages are loaded when the first page is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    from eval.compare.comparison import Comparison
    from eval.compare.gate import Verdict
    from eval.runs.results import RunResult
    from eval.tune.fusion_tuning import Tuning
    from eval.tune.growth import Growth, Prediction
    from eval.tune.sweep_report import Sweep

_PACKAGES = ("jinja2", "matplotlib")


def run_page(results: Sequence[RunResult]) -> str:
    """What was measured, of one result or more. Raises InputError for none, or without queries."""
    need_packages()
    from eval.report import run

    return run.run_page(results)


def comparison_page(comparison: Comparison, runs: Sequence[RunResult]) -> str:
    """What differs between systems; `runs` are all results compared, the baseline's too."""
    need_packages()
    from eval.report import comparison as page

    return page.comparison_page(comparison, runs)


def gate_page(verdict: Verdict) -> str:
    """Why a gate passed or failed."""
    need_packages()
    from eval.report import gate

    return gate.gate_page(verdict)


def sweep_page(sweep: Sweep) -> str:
    """The cells of an HNSW sweep, and which to use."""
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
    """One HNSW cell at growing sizes, and what that predicts; `about` says of what and where."""
    need_packages()
    from eval.report import growth as page

    return page.growth_page(growth, predictions, about=about, notes=notes)


def fusion_page(tuning: Tuning) -> str:
    """What cross-validation says of the fusion's weights."""
    need_packages()
    from eval.report import fusion

    return fusion.fusion_page(tuning)


def need_packages() -> None:
    """Raises InputError where pages can't be drawn: to know before long work, not after it."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"HTML reports need {' and '.join(missing)}, which {_verb(missing)} not installed",
            mend="pip install 'dateline-search[report]'",
        )


def _verb(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
