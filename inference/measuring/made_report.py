"""The report of a model that was made from another one: what it lost and gained, layer by layer, on
which data and at what cost. It lies beside the model, as `report.md` and `report.json`.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix

MOST_LOST = 0.005  # half a point
WORST_ROWS = 10
_SLACK = 1e-9
_JUDGED = ("set", "measure", "before", "after", "points", "95 %", "rows better", "rows worse")
_LONGEST = 100  # characters of a query in a table
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A model's figure on a set: that of each query or sentence by its text, and what is above and
    below in each of them, [n, 2], whose sums' ratio it is.
    """

    rows: Mapping[str, float]
    sums: Sums

    @classmethod
    def mean_of(cls, texts: Sequence[str], values: Sequence[float]) -> Figure:
        """Return the mean of each text's value."""
        sums = np.column_stack((np.array(values, np.float64), np.ones(len(values))))
        return cls(dict(zip(texts, values, strict=True)), sums)

    @property
    def value(self) -> float:
        """The figure over all rows; 0 if nothing is below."""
        above, below = self.sums.sum(axis=0)
        return float(above / below) if below else 0.0


@dataclass(frozen=True, slots=True)
class Changed:
    """A query or sentence, and its figure before and after."""

    text: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Judged:
    """The figure `measure` on `dataset` of the model before and now, and the 95 % interval of the
    points in between; how many rows are better and worse, and the rows that lost most.
    """

    measure: str
    dataset: str
    before: float
    after: float
    interval: tuple[float, float]
    better: int = 0
    worse: int = 0
    worst: tuple[Changed, ...] = ()

    @property
    def holds(self) -> bool:
        """Return whether no more than half a point was lost."""
        return self.before - self.after <= MOST_LOST


def judged_of(
    measure: str, dataset: str, before: Figure, after: Figure, interval: tuple[float, float]
) -> Judged:
    """Return both figures side by side. A text that both lack a row of is left out; `interval` is
    that of the difference as a share.
    """
    rows = [
        Changed(text, old, after.rows[text])
        for text, old in before.rows.items()
        if text in after.rows
    ]
    lost = sorted((row for row in rows if row.before - row.after > _SLACK), key=_change)
    better = sum(row.after - row.before > _SLACK for row in rows)
    worst = tuple(lost[:WORST_ROWS])
    points = 100 * interval[0], 100 * interval[1]
    return Judged(measure, dataset, before.value, after.value, points, better, len(lost), worst)


def _change(row: Changed) -> float:
    return row.after - row.before


@dataclass(frozen=True, slots=True)
class LayerError:
    """How near a layer's output is to what it was, on texts that nothing was fitted on: the mean
    cosine of a token's vector, and the signal to noise ratio of all values in dB.
    """

    layer: str
    cosine: float
    snr_db: float


@dataclass(slots=True)
class LayerSums:
    """Sums over tokens and values of one layer, batch by batch."""

    cosines: float = 0.0
    rows: int = 0
    signal: float = 0.0
    noise: float = 0.0

    def add(self, before: FloatMatrix, after: FloatMatrix) -> None:
        """Count the vectors [..., d] of the same tokens in."""
        one = before.reshape(-1, before.shape[-1]).astype(np.float64)
        other = after.reshape(one.shape).astype(np.float64)
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        self.cosines += float(((one * other).sum(axis=1) / np.maximum(lengths, 1e-12)).sum())
        self.rows += len(one)
        self.signal += float(np.square(one).sum())
        self.noise += float(np.square(one - other).sum())

    def error(self, layer: str) -> LayerError:
        """Return the layer's error."""
        ratio = max(self.signal, 1e-30) / max(self.noise, 1e-30)
        return LayerError(layer, self.cosines / max(self.rows, 1), float(10 * np.log10(ratio)))


@dataclass(frozen=True, slots=True)
class Texts:
    """Data by name: how many texts or lists, and the sha256 over them."""

    name: str
    count: int
    digest: str


def texts_of(name: str, texts: Sequence[str]) -> Texts:
    """Return the description of `texts`."""
    return Texts(name, len(texts), sha256("\n".join(texts).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Cost:
    """What the model takes before and now: a unit and two figures."""

    what: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class MadeReport:
    """One report. `costs` are what the model takes; `seconds` and `peak_mb` are the time and the
    process's greatest memory of making it; `fitted` are the data that it was fitted or calibrated
    on, `held_out` those of the layers' errors.
    """

    name: str
    source: str
    how: str
    costs: tuple[Cost, ...]
    seconds: float
    peak_mb: float
    fitted: tuple[Texts, ...]
    held_out: tuple[Texts, ...]
    judged: tuple[Judged, ...]
    layers: tuple[LayerError, ...]


def peak_mb() -> float:
    """Return the greatest resident memory of this process so far, in MB of 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def write_report(report: MadeReport, folder: Path) -> None:
    """Write `report.md` and `report.json` into the folder."""
    tree = json.dumps(asdict(report), indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(tree + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def markdown(report: MadeReport) -> str:
    """Return the report in Markdown."""
    lines = [
        f"# {report.name}, made of {report.source} by {report.how}",
        "",
        f"- made in {report.seconds:,.1f} s; the process had {report.peak_mb:,.0f} MB at most",
        *(f"- fitted on {_told(one)}" for one in report.fitted),
        *(f"- layers compared on {_told(one)}" for one in report.held_out),
        "",
        "## What it takes",
        "",
        *_table("", "before", "now", "times"),
        *(_row(one.what, *_both(one)) for one in report.costs),
        "",
        "## On judged data",
        "",
    ]
    if not report.judged:
        lines += ["It was not judged: what it lost is unknown.", ""]
    else:
        lines += _table(
            "set", "measure", "before", "after", "points", "95 %", "rows better", "rows worse"
        )
        lines += [_row(*_judged_cells(one)) for one in report.judged] + [""]
    for one in report.judged:
        if one.worst:
            lines += [f"### What lost most: {one.dataset}", "", *_table("text", "before", "after")]
            lines += [_row(_plain(r.text), f"{r.before:.3f}", f"{r.after:.3f}") for r in one.worst]
            lines += [""]
    lines += ["## Layer by layer", ""]
    if report.layers:
        lines += _table("layer", "mean cosine", "signal to noise, dB")
        lines += [
            _row(one.layer, f"{one.cosine:.6f}", f"{one.snr_db:.1f}") for one in report.layers
        ]
    else:
        lines += ["No texts were held out to compare layers on."]
    return "\n".join(lines) + "\n"


def _judged_cells(one: Judged) -> tuple[str, ...]:
    points = f"{100 * (one.after - one.before):+.2f}"
    low, high = one.interval
    figures = (f"{one.before:.4f}", f"{one.after:.4f}", points, f"{low:+.2f} to {high:+.2f}")
    return (one.dataset, one.measure, *figures, str(one.better), str(one.worse))


def _both(one: Cost) -> tuple[str, ...]:
    times = f"{one.after / one.before:.2f}" if one.before else ""
    return (f"{one.before:,.1f}", f"{one.after:,.1f}", times)


def _told(texts: Texts) -> str:
    return f"{texts.name}: {texts.count:,}, sha256 {texts.digest[:16]}…"


def _table(*columns: str) -> list[str]:
    return [_row(*columns), f"|{' --- |' * len(columns)}"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return a text that does not end its cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
