"""The second encoder, on a machine that is quick enough for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

from core.model_ports import TextEncoder
from dateline.build.runtimes import model_store
from dateline.settings import Settings
from inference.models.manifest import ModelManifest
from inference.runtimes.choice import is_remote, this_machine
from inference.runtimes.kept import KeptByModel

_TRIES = 9  # the shortest counts: other work on the machine makes no encoding shorter
_QUERY = "which ferries ran aground off the island in the storm of march"
Opened = TypeVar("Opened", bound=TextEncoder)


def second_that_fits(settings: Settings, opened: Callable[[], Opened]) -> tuple[Opened | None, str]:
    """Return the second encoder of the settings; or None, and why there is none if they name one.
    Its time for a query is measured once on a machine. Raises ModelError if it can't be loaded.
    """
    name = settings.second_encoder
    if not name:
        return None, ""
    if _is_default(settings) and model_store(settings).place(name) is None:
        return None, f"second_encoder {name}: it is not among the models; pull it, or name none"
    kept = kept_ms(settings)
    if kept is not None and (why := too_slow(settings, kept)):
        return None, f"second_encoder {name}: {why}"
    encoder = opened()
    if (
        kept is None
        and _is_limited(settings)
        and (why := too_slow(settings, measure(settings, encoder)))
    ):
        return None, f"second_encoder {name}: {why}"
    return encoder, ""


def too_slow(settings: Settings, ms: float) -> str:
    """Return why `ms` for a query is too long for the second encoder, "" if it is not."""
    if not _is_limited(settings) or ms <= settings.second_encoder_ms:
        return ""
    return (
        f"a query takes it {ms:.0f} ms here, and second_encoder_ms allows "
        f"{settings.second_encoder_ms:.0f}; so there is one encoder"
    )


def measure(settings: Settings, encoder: TextEncoder) -> float:
    """Return the milliseconds that `encoder` takes for a query, and keep them in the archive's
    folder, if there is one.
    """
    ms = min(_timed(encoder, f"{number} {_QUERY}") for number in range(_TRIES))
    with suppress(OSError):  # it is measured again next time
        if settings.data.is_dir():
            _times(settings).keep(_manifest(settings), {"query_ms": round(ms, 2)})
    return ms


def kept_ms(settings: Settings) -> float | None:
    """Return the kept time of the second encoder on this machine; None if it was not measured, or
    the settings don't limit it.
    """
    if not _is_limited(settings):
        return None
    found = (_times(settings).find(_manifest(settings)) or {}).get("query_ms")
    return float(found) if isinstance(found, int | float) else None


def _timed(encoder: TextEncoder, text: str) -> float:
    started = perf_counter()
    encoder.encode_queries([text])
    return (perf_counter() - started) * 1000


def _is_default(settings: Settings) -> bool:
    """Return whether nobody named the second encoder."""
    return "second_encoder" not in settings.model_fields_set


def _is_limited(settings: Settings) -> bool:
    """Return whether the second encoder has a limit: not one at another service."""
    elsewhere = is_remote(settings.runtimes.get(settings.second_encoder, ""))
    return settings.second_encoder_ms > 0 and not elsewhere


def _manifest(settings: Settings) -> ModelManifest:
    return model_store(settings).describe(settings.second_encoder).manifest


def _times(settings: Settings) -> KeptByModel:
    return KeptByModel(settings.data / "encoders.json", this_machine)
