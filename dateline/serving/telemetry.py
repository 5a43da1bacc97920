"""What this process tells OpenTelemetry: traces, logs and metrics, if the setting `otel` asks.

OpenTelemetry's own variables say where to send them, how many traces and under which name
(OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

from core import tracing
from core.errors import SettingsError
from dateline.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import Metric

    from dateline.serving.otlp import Sender

_SAMPLER = "OTEL_TRACES_SAMPLER"
_SHARE = "OTEL_TRACES_SAMPLER_ARG"
_SAMPLERS = ("always_on", "always_off", "traceidratio")
_PARENT = "parentbased_"
_HALF = 2**64
SWITCH_S = 0.0005  # how long a search waits for the interpreter that the sending thread has


class Telemetry:
    """What a process tells, or nothing without a sender."""

    def __init__(self, sender: Sender | None = None) -> None:
        self._sender = sender

    def tell_metrics(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Send the metrics that `collect` returns, from now on."""
        if self._sender is not None:
            self._sender.collect = collect

    def last_metrics(self) -> None:
        """Send the metrics once more, before what they are about is closed."""
        if self._sender is not None:
            self._sender.send_metrics()
            self._sender.collect = None


@contextmanager
def telemetry(settings: Settings) -> Iterator[Telemetry]:
    """Send traces and logs while the body runs, and the last ones at its end.

    Raises SettingsError for a sampler that is not known, or an address that can't be used.
    """
    tracing.let_quote(settings.otel_queries)
    if not settings.otel:
        yield Telemetry()
        return
    chosen = _chosen()
    from dateline.serving.otlp import Sender  # loads httpx, which nobody needs unasked

    sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
    sender = Sender(metadata.version("dateline-search"))
    tracing.send_to(tracing.Sink(sender.write, chosen))
    logging.getLogger().addHandler(sender)
    try:
        yield Telemetry(sender)
    finally:
        tracing.send_to(None)
        logging.getLogger().removeHandler(sender)
        sender.close()


def _chosen() -> Callable[[int, bool | None], bool]:
    """Return which traces are kept, by OpenTelemetry's variables. Raises SettingsError."""
    wanted = os.environ.get(_SAMPLER, "parentbased_always_on").lower()
    name = wanted.removeprefix(_PARENT)
    share = os.environ.get(_SHARE) or "1"
    try:
        most = {"always_on": 1.0, "always_off": 0.0, "traceidratio": float(share)}[name]
    except (KeyError, ValueError) as error:
        known = ", ".join(f"{prefix}{one}" for prefix in ("", _PARENT) for one in _SAMPLERS)
        raise SettingsError(
            f"{_SAMPLER}={wanted} with {_SHARE}={share} is no sampler",
            where=_SAMPLER,
            mend=f"one of {known}; the share is a number from 0 to 1",
        ) from error
    return partial(_is_kept, most, by_caller=wanted != name)


def _is_kept(share: float, trace: int, said: bool | None, *, by_caller: bool) -> bool:
    """Return whether a trace is in the share; a caller's decision counts if it may."""
    if by_caller and said is not None:
        return said
    return trace % _HALF < share * _HALF
