"""The circumstances of a run: enough to repeat it, and no secret."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dateline.build.models.runtimes import model_store
from dateline.build.models.served import Models
from dateline.measuring.profile_changes import profile_settings
from dateline.settings import Settings
from eval.runs.results import System
from search.profiles import Profile

Setting = str | int | float | bool

_PACKAGE = "dateline-search"
_CHECKOUT = Path(__file__).resolve().parents[2]
_SECRETS = ("keys", "remote_key")
_PLACES = ("data", "models", "pulled_models", "host", "port")
_OF_THE_SERVER = ("demo", "otel", "otel_queries", "searches", "waiting", "max_body_bytes")
LEFT_OUT = frozenset((*_SECRETS, *_PLACES, *_OF_THE_SERVER, "profile"))
# Recorded even with default values: how an engine's graphs are built, how wide it searches them.
_BUILT = ("hnsw_m", "hnsw_ef_construction")
_SHAPING = {
    "embedded": (*_BUILT, "hnsw_ef_search"),
    "opensearch": (*_BUILT, "opensearch_ef_search"),
}


def system_of(
    settings: Settings, profile: Profile, models: Models, *, name: str, index: str
) -> System:
    """Return the system that answers with `profile`, which has all changes."""
    return System(
        name=name,
        profile=profile.name,
        settings=told_settings(settings) | profile_settings(profile),
        models=_models(settings, profile, models),
        index=index,
        version=program_version(),
    )


def told_settings(settings: Settings) -> dict[str, Setting]:
    """Return the settings that differ from their defaults, and those that always
    shape an answer.
    """
    told: dict[str, Setting] = {}
    shaping = _SHAPING[settings.engine]
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        default = field.get_default(call_default_factory=True)
        if name in LEFT_OUT or (value == default and name not in shaping):
            continue
        if isinstance(value, str | int | float | bool):
            told[name] = value
        elif isinstance(value, dict):
            told |= {f"{name}.{key}": str(inner) for key, inner in value.items()}
    return told


def program_version() -> str:
    """Return the package's version, with the revision of a checkout."""
    try:
        number = version(_PACKAGE)
    except PackageNotFoundError:
        number = "unknown"
    revision = _revision()
    return f"{number} ({revision})" if revision else number


def _revision() -> str:
    """Return the checkout's commit, with "-dirty" if tracked files differ; ""
    without a checkout.
    """
    git = shutil.which("git")
    if git is None or not (_CHECKOUT / ".git").exists():
        return ""
    command = [git, "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
    command += ["--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _models(settings: Settings, profile: Profile, models: Models) -> dict[str, str]:
    """Return name and digest by role, of the models that the profile's answers come from."""
    told = {"encoder": f"{settings.encoder} {models.encoder.digest}"}
    if models.second is not None and len(profile.vector_weights) > 1:
        told["second encoder"] = f"{models.second.name} {models.second.digest}"
    reranks = profile.rerank_depth > 0 and profile.rerank_weight > 0
    asked = (
        ("tagger", settings.tagger, models.tagger is not None),
        ("reranker", settings.reranker, models.scorer is not None and reranks),
    )
    store = model_store(settings)
    for role, name, used in asked:
        if used:
            told[role] = f"{name} {store.describe(name).manifest.digest}"
    return told
