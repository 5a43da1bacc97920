"""Tells whether a request comes from this machine, which the demo and operators' pages require."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from api.access.services import ApiSettings

_FORWARDED = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # prefixes of header names
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_local(request: Request, settings: ApiSettings) -> bool:
    """Return whether a request was made on this machine to a service that listens on loopback
    only.

    A proxy on the same machine also connects from 127.0.0.1, so forwarding headers are refused. A
    web page elsewhere can point its own name at 127.0.0.1 (DNS rebinding), so the Host header is
    checked.
    """
    if not settings.loopback or any(name.startswith(_FORWARDED) for name in request.headers):
        return False
    host = request.headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.lower() in _LOCAL_NAMES and _is_loopback(
        request.client.host if request.client else ""
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
