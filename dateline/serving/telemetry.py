"""OpenTelemetry traces of this process, sent by OTLP if the setting `otel` asks for them.

OpenTelemetry's own variables say where to send them, how many and under which name
(OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from opentelemetry import trace

from core.errors import SettingsError
from dateline.settings import Settings

_SDK = "opentelemetry.sdk.trace"
_EXPORT = "opentelemetry.sdk.trace.export"
_OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """Write traces while the body runs, and send the last ones at the end.

    Raises SettingsError if they are asked for and the extra is not installed.
    """
    if not settings.otel:
        yield
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", "dateline")
    try:
        sdk, export, otlp = (import_module(name) for name in (_SDK, _EXPORT, _OTLP))
    except ImportError as error:
        raise SettingsError(
            f"traces can't be sent: {error}",
            where="otel",
            mend="pip install 'dateline-search[otel]', or unset it",
        ) from error
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
