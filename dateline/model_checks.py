"""Checks that every model is intact, that remote ones answer, and that the models of the settings
fit their tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import DatelineError, ModelError
from dateline.build.models.runtimes import check_runtime, model_store
from dateline.build.models.served import ask_remote
from dateline.settings import Settings
from inference.runtimes.choice import is_remote

# The tasks that fit a model, by the setting that names it.
_TASKS: Mapping[str, Sequence[str]] = {
    "encoder": ("encode",),
    "second_encoder": ("encode",),
    "next_encoder": ("encode",),
    "tagger": ("tag",),
    "reranker": ("encode", "score"),  # late interaction, or a cross-encoder
}


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model, or a setting that names one: whether it is well and, if known, how to mend it."""

    name: str
    ok: bool
    says: str
    mend: str = ""


def check_named_models(settings: Settings) -> list[CheckedModel]:
    """Return, by setting, whether each named model is here, fits its task, and has its runtime
    installed. Loads nothing, and reads no file but the manifest.
    """
    checked: list[CheckedModel] = []
    for role, tasks in _TASKS.items():
        name = getattr(settings, role)
        try:
            if name:
                runs = _where_it_runs(settings, name, role, tasks)
                checked.append(CheckedModel(role, True, f"{name}, {runs}"))
        except DatelineError as error:
            place = f" ({error.where})" if error.where not in ("", name) else ""
            says = f"{name}: {error.what}{place}"
            checked.append(CheckedModel(role, False, says, error.mend))
    return checked


def _where_it_runs(settings: Settings, name: str, role: str, tasks: Sequence[str]) -> str:
    folder = model_store(settings).describe(name)
    if folder.manifest.task not in tasks:
        what = f"it is a model to {folder.manifest.task}, not to {' or '.join(tasks)}"
        mend = f"name another in the setting `{role}`: `dateline models list` has their tasks"
        raise ModelError(what, where=name, mend=mend)
    if is_remote(settings.runtimes.get(name, "")):
        return "elsewhere"
    return f"in {check_runtime(settings, folder)}"


def ask_remote_models(settings: Settings) -> list[CheckedModel]:
    """Ask each model at another service one question; return the results."""
    used = dict.fromkeys(
        (settings.encoder, settings.second_encoder, settings.tagger, settings.reranker)
    )
    asked: list[CheckedModel] = []
    for name in used:
        try:
            if url := ask_remote(settings, name):
                asked.append(CheckedModel(name, True, f"answers at {url}"))
        except DatelineError as error:
            asked.append(CheckedModel(name, False, str(error)))
    return asked


def verify_models(settings: Settings) -> list[CheckedModel]:
    """Check every model, bundled or pulled, by checksum; return the results."""
    problems: dict[str, list[str]] = {}
    for row in model_store(settings).verify():
        problems.setdefault(row.model, [])
        if row.problem:
            problems[row.model].append(f"{row.path}: {row.problem}")
    return [
        CheckedModel(name, not found, "; ".join(found) or "every checksum matches")
        for name, found in problems.items()
    ]
