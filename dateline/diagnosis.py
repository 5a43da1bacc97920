"""The checks of `dateline doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from core.errors import DatelineError
from dateline.archive import archive_status
from dateline.build.runtimes import open_encoder
from dateline.build.second_encoder import is_named, measure, told
from dateline.diagnosis_cluster import diagnose_cluster
from dateline.finding import Finding
from dateline.model_checks import ask_remote_models, check_named_models, verify_models
from dateline.serving.shared_state import kept_apart
from dateline.settings import Settings

_PACKAGES = (
    "faiss-cpu",
    "fastapi",
    "luqum",
    "numpy",
    "onnxruntime",
    "pydantic",
    "tantivy",
    "tokenizers",
    "uvicorn",
)
_EXTRAS = {"torch": "torch", "postgres": "psycopg", "hnswlib": "hnswlib", "gpu": "faiss-gpu-cu12"}
_LEAST_FREE = 500 * 2**20


def diagnose(settings: Settings) -> list[Finding]:
    """Return the findings of every check; causes come before effects."""
    checks: tuple[Callable[[Settings], list[Finding]], ...] = (
        _python,
        _packages,
        _models,
        _named_models,
        second_encoder,
        _remote_models,
        _folder,
        diagnose_cluster,
        _archive,
        _hosts,
    )
    return [finding for check in checks for finding in check(settings)]


def _python(_: Settings) -> list[Finding]:
    found = sys.version.split()[0]
    return [Finding("python", sys.version_info >= (3, 11), found, "Dateline needs 3.11 or newer")]


def _packages(_: Settings) -> list[Finding]:
    findings: list[Finding] = []
    for name in _PACKAGES:
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, False, "not installed", "run `make setup`"))
    present = [extra for extra, name in _EXTRAS.items() if _is_installed(name)]
    findings.append(Finding("extras", True, ", ".join(present) or "none installed"))
    return findings


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _models(settings: Settings) -> list[Finding]:
    try:
        rows = verify_models(settings)
    except DatelineError as error:
        return [Finding("models", False, str(error), error.mend)]
    if not rows:
        mend = "set `models` to the folder that holds them"
        return [Finding("models", False, f"none in {settings.models}", mend)]
    mend = "take the file from the repository again (git checkout -- models), or pull the model"
    return [Finding(f"model {row.name}", row.ok, row.says, mend) for row in rows]


def _named_models(settings: Settings) -> list[Finding]:
    rows = check_named_models(settings)
    return [Finding(row.name, row.ok, row.says, row.mend) for row in rows]


def second_encoder(settings: Settings) -> list[Finding]:
    """Return how long the second encoder takes here if nobody named it: measured now, and kept for
    the next start.
    """
    name = settings.second_encoder
    if not name or is_named(settings):
        return []
    try:
        ms = measure(settings, open_encoder(settings, name))
    except DatelineError:
        return []  # told with the named models
    return [Finding("second encoder", True, f"{name}: {told(ms)}")]


def _remote_models(settings: Settings) -> list[Finding]:
    mend = "start the service that `runtimes` names, or take the model out of that setting"
    return [
        Finding(f"remote model {row.name}", row.ok, row.says, mend)
        for row in ask_remote_models(settings)
    ]


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.data
    there = folder if folder.exists() else folder.resolve().parent
    if not there.exists():
        return [Finding("data folder", False, f"{there} is missing", f"mkdir -p {there}")]
    writable = os.access(there, os.W_OK)
    free = shutil.disk_usage(there).free
    return [
        Finding("data folder", writable, str(folder), f"make {there} writable for this user"),
        Finding("free space", free > _LEAST_FREE, f"{free / 2**30:.1f} GiB", "free some space"),
    ]


def _lacks(field: str, count: int) -> str:
    return f"field {field} lacks {count:,} visible items: they are not found by it"


def _record(facts: Mapping[str, Any]) -> list[Finding]:
    """Return where the record of truth is, and whether a crash could lose an acknowledged write."""
    more = ", ".join(f"{name} {facts[name]}" for name in ("server", "schema") if name in facts)
    says = f"{facts['where']}, {more}" if more else str(facts["where"])
    mend = "set fsync and full_page_writes to on in the server's configuration"
    return [Finding("record", bool(facts["durable"]), says, mend)]


def _archive(settings: Settings) -> list[Finding]:
    if not settings.has_archive:
        return [Finding("archive", True, "none yet; `dateline ingest` makes it")]
    try:
        found = archive_status(settings)
    except DatelineError as error:
        return [Finding("archive", False, str(error), error.mend)]
    engine = found["engine"]
    held = timedelta(seconds=round(found["clock"]["held_seconds"]))
    step = f"the system's clock is {held} ahead of the archive's"
    mend = "set the system's clock right, or `dateline clock --confirm` where it is"
    says = f"{found['items']:,} versions, {found['visible']:,} visible"
    findings = [*_record(engine["record"]), Finding("archive", True, says)]
    findings.append(Finding("clock", not held, step if held else "no step waits", mend))
    findings += [
        Finding("index", True, f"was damaged and made anew: {line}") for line in engine["repairs"]
    ]
    findings += [
        Finding("vectors", False, _lacks(name, part["lacking"]), "run `dateline embed`")
        for name, part in engine["vectors"].items()
        if part["lacking"]
    ]
    if settings.engine == "opensearch":  # told with the cluster
        return findings
    lag = found["projections"]["lexical"]["lag"]
    mend = "start the service or run `dateline rebuild`"
    findings.append(Finding("indexes", lag == 0, f"{lag} changes behind", mend))
    return findings


def _hosts(settings: Settings) -> list[Finding]:
    """Return what this host does not share with others; on one host that is no mistake."""
    apart = kept_apart(settings)
    return [Finding("hosts", True, f"not shared with others: {'; '.join(apart)}")] if apart else []
