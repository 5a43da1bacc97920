"""All of it, one after the other: `dateline capacity measure`.

    peaks ──> models and media ──> a made archive ──> dateline serve ──> alone, by stage ──> several
              by batch, tokens     of two sizes       over HTTP          and by filter       clients

The archive is made from the demo corpus (`made_stories.py`), with vectors that lie between those of
its stories, so no model runs for it. Everything is in a temporary folder, and nothing outside of
this machine is asked.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from capacity.measurements import Archive, Calls, Measurements, SearchTimes
from core.errors import InputError
from dateline.build.engine import SECOND_FIELD
from dateline.build.service import profiles
from dateline.measuring.capacity.archive import Grown, grow
from dateline.measuring.capacity.calls import model_calls, model_memory
from dateline.measuring.capacity.machine import machine_facts, machine_peaks
from dateline.measuring.capacity.media import media_calls
from dateline.measuring.capacity.serving import Asking, asked
from dateline.measuring.provenance import program_version
from dateline.settings import Settings
from inference.runtimes.loading import cores

Report = Callable[[str], None]
_PACKAGES = ("numpy", "onnxruntime", "faiss-cpu", "tantivy", "tokenizers", "fastapi", "uvicorn")
_TOLD = ("profile", "encoder", "second_encoder", "tagger", "reranker", "threads", "runtimes")
_TOLD_TOO = (
    "batch_tokens",
    "hnsw_m",
    "hnsw_ef_search",
    "hnsw_precision",
    "rerank_candidates",
    "rerank_tokens",
)


@dataclass(frozen=True, slots=True)
class MeasurePlan:
    """What to measure: archives of these numbers of passages, searches of each profile, and
    seconds of each number of clients.
    """

    sizes: tuple[int, ...] = (25_000, 100_000)
    profiles: tuple[str, ...] = ("hybrid",)
    searches: int = 400
    seconds: float = 10.0

    def check(self, known: Sequence[str]) -> None:
        """Raise InputError for a plan that can't be carried out."""
        if not self.sizes or min(self.sizes) < 1000:
            what = "an archive has 1,000 passages at least"
            raise InputError(what, where="--passages", mend="25k,100k")
        for name in self.profiles:
            if name not in known:
                mend = f"one of {', '.join(known)}"
                raise InputError(f"there is no profile {name}", where="--profiles", mend=mend)


def measure(settings: Settings, plan: MeasurePlan, report: Report) -> Measurements:
    """Return the measurements of this machine. Raises InputError, StorageError, ModelError."""
    if settings.engine != "embedded":
        mend = "set engine to embedded for this command; a plan has constants for OpenSearch"
        raise InputError("only the embedded engine is measured", where="engine", mend=mend)
    plan.check(tuple(profiles(settings)))
    began = time.perf_counter()

    def say(what: str) -> None:
        report(f"{time.perf_counter() - began:4.0f} s  {what}")

    with tempfile.TemporaryDirectory(prefix="dateline-capacity-") as folder:
        ours = _ours(settings, plan, Path(folder))
        say("peaks of the machine")
        peaks = machine_peaks()
        say("calls of models, and their memory")
        calls, memory = model_calls(ours), model_memory(ours)
        say("photos, videos and sound")
        calls += media_calls(ours, say)
        served = _served(ours, plan, say)
    machine = replace(machine_facts(peaks), curve=served.curve)
    return Measurements(
        made=date.today().isoformat(),
        version=program_version(),
        noise=served.noise,
        machine=machine,
        searches=tuple(served.searches),
        archives=tuple(served.archives),
        calls=(*calls, *served.calls),
        packages={name: _version(name) for name in _PACKAGES},
        settings={name: str(getattr(ours, name)) for name in (*_TOLD, *_TOLD_TOO)},
        memory=memory,
        took_s=round(time.perf_counter() - began, 1),
    )


def _ours(settings: Settings, plan: MeasurePlan, folder: Path) -> Settings:
    """Return the settings of what is measured: an archive of its own, without an encoder that no
    asked profile needs, because its graph would take as long as the first one.
    """
    ours = settings.model_copy(update={"data": folder, "demo": False, "keys": ()})
    ours = ours.model_copy(update={"searches": min(64, max(2, cores()))})
    known = profiles(settings)
    if not any(SECOND_FIELD in known[name].vector_weights for name in plan.profiles):
        ours = ours.with_one_encoder()
    return ours


@dataclass(slots=True)
class _Served:
    searches: list[SearchTimes]
    archives: list[Archive]
    calls: tuple[Calls, ...] = ()
    curve: tuple[float, ...] = (1.0,)
    noise: float = 0.0


def _served(settings: Settings, plan: MeasurePlan, say: Report) -> _Served:
    """Make and ask the archives, the smallest first; the largest also by filters and by several
    clients.
    """
    found, front, search = _Served([], []), 0.0, 0.0
    grown: Grown | None = None
    for size in sorted(plan.sizes):
        say(f"an archive of {size:,} passages")
        grown = grow(settings, size, grown)
        say(f"searches among {grown.passages:,} passages")
        last = size == max(plan.sizes)
        asking = Asking(plan.profiles, plan.searches, last, plan.seconds if last else 0.0)
        answers = asked(settings, grown, asking)
        found.searches += answers.searches
        found.archives.append(answers.archive)
        found.calls, found.curve = grown.calls, answers.curve
        found.noise = max(found.noise, answers.noise)
        front, search = answers.kept
    found.archives = [
        replace(each, front=each.front + front, search=each.search + search)
        for each in found.archives
    ]
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
