"""Where a process sends what it tells: OpenTelemetry's own variables, and the post to that address.

A variable with the name of a signal (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) comes before the one for
all signals (OTEL_EXPORTER_OTLP_ENDPOINT, to which the signal's path is added).
"""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import unquote

import httpx

from core.errors import SettingsError

_ALL = "OTEL_EXPORTER_OTLP_"
_LATER = frozenset({429, 502, 503, 504})  # the answers after which OTLP sends once more
_TIMEOUT_S = 10.0
_LEVEL = 1  # of gzip: what is sent is dull, and a processor is dear
_GZIP = "gzip"


class Signal(StrEnum):
    """What is told."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Sent(StrEnum):
    """What became of a post: taken, refused for good, or to be sent again."""

    TAKEN = "taken"
    REFUSED = "refused"
    LATER = "later"


class Address:
    """The collector's address for one signal. Raises SettingsError for variables that can't be
    followed.
    """

    def __init__(self, signal: Signal, variables: Mapping[str, str]) -> None:
        def said(name: str) -> str:
            own = variables.get(f"{_ALL}{signal.upper()}_{name}", "")
            return own or variables.get(f"{_ALL}{name}", "")

        protocol = said("PROTOCOL")
        if protocol == "grpc":
            mend = "http/json; collectors take it at port 4318"
            raise SettingsError("grpc is not sent", where=f"{_ALL}PROTOCOL", mend=mend)
        self.url = _url(signal, variables)
        self._gzip = said("COMPRESSION") == _GZIP
        headers = pairs(said("HEADERS")) | {"content-type": "application/json"}
        if self._gzip:
            headers["content-encoding"] = _GZIP
        self._client = httpx.Client(
            headers=headers,
            timeout=_seconds(said("TIMEOUT")),
            verify=_trust(said("CERTIFICATE"), said("CLIENT_CERTIFICATE"), said("CLIENT_KEY")),
        )

    def post(self, body: bytes) -> Sent:
        """Send a request in JSON."""
        if self._gzip:
            body = gzip.compress(body, _LEVEL)
        try:
            status = self._client.post(self.url, content=body).status_code
        except httpx.HTTPError:
            return Sent.LATER
        if status in _LATER:
            return Sent.LATER
        return Sent.TAKEN if status < 300 else Sent.REFUSED

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def pairs(text: str) -> dict[str, str]:
    """Return the names and values of "name=value,name=value", with %-escapes read."""
    found = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in found}


def _url(signal: Signal, variables: Mapping[str, str]) -> str:
    name = f"{_ALL}{signal.upper()}_ENDPOINT"
    url = variables.get(name, "")
    if not url:
        name = f"{_ALL}ENDPOINT"
        base = variables.get(name, "") or "http://localhost:4318"
        url = f"{base.rstrip('/')}/v1/{signal}"
    if not url.startswith(("http://", "https://")):
        raise SettingsError(
            "the collector's address is not http:// or https://",
            where=name,
            mend="such as http://collector:4318",
        )
    return url


def _seconds(text: str) -> float:
    try:
        return float(text) if text else _TIMEOUT_S
    except ValueError as error:
        where = f"{_ALL}TIMEOUT"
        raise SettingsError("the limit is no number", where=where, mend="seconds") from error


def _trust(certificate: str, own: str, key: str) -> ssl.SSLContext | bool:
    """Return whom to trust: those of `certificate`, or whom httpx trusts; with `own` we identify
    ourselves.
    """
    if not certificate and not own:
        return True
    try:
        context = ssl.create_default_context(cafile=certificate or None)
        if own:
            context.load_cert_chain(own, key or None)
    except (OSError, ssl.SSLError) as error:
        where = f"{_ALL}CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY"
        raise SettingsError("a certificate can't be read", where=where, mend="PEM") from error
    return context
