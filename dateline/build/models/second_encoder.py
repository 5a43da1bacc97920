"""The second encoder, on a machine that is quick enough for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import process_time
from typing import TypeVar

from core.ports.models import TextEncoder
from dateline.build.models.runtimes import model_store
from dateline.settings import Settings
from inference.models.manifest import ModelManifest
from inference.runtimes.choice import this_machine
from inference.runtimes.kept import KeptByModel

MOST_MS = 30.0  # processor time of a query; MiniLM and bge-small take 2 and 5 with VNNI
_TRIES = 9  # the shortest counts
_QUERY = "which ferries ran aground off the island in the storm of march"
Opened = TypeVar("Opened", bound=TextEncoder)


def second_that_fits(settings: Settings, opened: Callable[[], Opened]) -> tuple[Opened | None, str]:
    """Return the second encoder of the settings; or None, and why there is none if they have one.

    One that is named is opened in any case. Of one by default the time for a query is measured once
    on a machine. Raises ModelError if it can't be loaded.
    """
    name = settings.second_encoder
    if not name or is_named(settings):
        return (opened() if name else None), ""
    if model_store(settings).place(name) is None:
        return None, f"second_encoder {name}: it is not among the models"
    kept = kept_ms(settings)
    if kept is not None and kept > MOST_MS:
        return None, f"second_encoder {name}: {told(kept)}"
    encoder = opened()
    if kept is None and (measured := measure(settings, encoder)) > MOST_MS:
        return None, f"second_encoder {name}: {told(measured)}"
    return encoder, ""


def is_named(settings: Settings) -> bool:
    """Return whether somebody named the second encoder, or that there is none."""
    return "second_encoder" in settings.model_fields_set


def told(ms: float) -> str:
    """Return what `ms` for a query mean."""
    says = f"it takes {ms:.1f} ms for a query on this machine"
    if ms <= MOST_MS:
        return says
    return f"{says}, more than {MOST_MS:.0f}: there is one encoder, unless second_encoder names it"


def measure(settings: Settings, encoder: TextEncoder) -> float:
    """Return the milliseconds of processor time that `encoder` takes for a query, and keep them in
    the archive's folder, if there is one. Other work on the machine hardly changes them.
    """
    ms = min(_timed(encoder, f"{number} {_QUERY}") for number in range(_TRIES))
    with suppress(OSError):  # it is measured again next time
        if settings.data.is_dir():
            _times(settings).keep(_manifest(settings), {"query_ms": round(ms, 2)})
    return ms


def kept_ms(settings: Settings) -> float | None:
    """Return the kept time of the second encoder on this machine; None if there is none."""
    found = (_times(settings).find(_manifest(settings)) or {}).get("query_ms")
    return float(found) if isinstance(found, int | float) else None


def _timed(encoder: TextEncoder, text: str) -> float:
    started = process_time()
    encoder.encode_queries([text])
    return (process_time() - started) * 1000


def _manifest(settings: Settings) -> ModelManifest:
    return model_store(settings).describe(settings.second_encoder).manifest


def _times(settings: Settings) -> KeptByModel:
    return KeptByModel(settings.data / "encoders.json", this_machine)
