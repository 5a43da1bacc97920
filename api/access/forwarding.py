"""A service behind proxies: the client, the scheme and the host as our own proxies report them, and
the path prefix of a proxy.

Anybody can send these headers. So they are believed only from the addresses of our proxies, and
where two of them disagree, neither is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^;,"\s]*))\s*')


@dataclass(frozen=True, slots=True)
class Proxies:
    """The networks of our own proxies."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> Proxies:
        """Return the proxies that these texts name. Raises ValueError for one that is neither an
        address nor a network.
        """
        return cls(tuple(ip_network(each) for each in networks))

    def __contains__(self, address: object) -> bool:
        if not self.networks:
            return False
        try:
            found = ip_address(str(address))
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy reports of the request that it passes on; "" for what it does not report."""

    client: str = ""
    scheme: str = ""
    host: str = ""


class Forwarding:
    """Pure ASGI middleware: replaces what the connection says of a request by what our proxies
    report.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies, root_path: str) -> None:
        self._app = app
        self._proxies = proxies
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            if self._root_path:
                self._place(scope)
            believe(scope, self._proxies)
        await self._app(scope, receive, send)

    def _place(self, scope: Scope) -> None:
        """Make the path whole, whether the proxy removed its own prefix or not."""
        root, path = self._root_path, scope["path"]
        scope["root_path"] = root
        if path != root and not path.startswith(f"{root}/"):
            scope["path"] = root + path
            scope["raw_path"] = root.encode() + scope.get("raw_path", path.encode())


def believe(scope: Scope, proxies: Proxies) -> None:
    """Replace what the connection says of a request by what our `proxies` report."""
    peer = scope.get("client")
    if peer is None or peer[0] not in proxies:
        return
    headers = Headers(scope=scope)
    said = [found for found in (_forwarded(headers), _x_forwarded(headers)) if found]
    outermost = [_outermost(hops, proxies) for hops in said]
    if client := _agreed(hop.client for hop in outermost):
        scope["client"] = (client, 0)
    if scheme := _agreed(hop.scheme for hop in outermost):
        scope["scheme"] = scheme
    if host := _agreed(hop.host for hop in outermost):
        changed = MutableHeaders(raw=list(scope["headers"]))
        changed["host"] = host
        scope["headers"] = changed.raw


def _outermost(hops: Sequence[Hop], proxies: Proxies) -> Hop:
    """Return the newest hop whose client is not a proxy of ours. Anybody can write the hops before
    it.
    """
    for hop in reversed(hops):
        if hop.client not in proxies:
            return hop
    return hops[0]


def _agreed(values: Iterable[str]) -> str:
    """Return the one value that is given; "" if the values differ."""
    different = {value for value in values if value}
    return different.pop() if len(different) == 1 else ""


def _x_forwarded(headers: Headers) -> list[Hop]:
    """Return the hops of X-Forwarded-For, -Proto and -Host, the oldest first. A proxy that does not
    append to the latter two writes one value, for the newest hop.
    """
    clients, schemes, hosts = (
        [one.strip() for line in headers.getlist(f"x-forwarded-{name}") for one in line.split(",")]
        for name in ("for", "proto", "host")
    )
    count = max(len(clients), min(1, len(schemes) + len(hosts)))

    def at(values: list[str], place: int) -> str:
        return values[place] if len(values) == count else (values[-1] if values else "")

    return [
        _hop(clients[place] if clients else "", at(schemes, place), at(hosts, place))
        for place in range(count)
    ]


def _forwarded(headers: Headers) -> list[Hop]:
    """Return the hops of Forwarded (RFC 7239), the oldest first."""
    elements = [one for line in headers.getlist("forwarded") for one in line.split(",")]
    found = []
    for element in elements:
        pairs = {name.lower(): quoted or bare for name, quoted, bare in _PAIR.findall(element)}
        found.append(_hop(*(pairs.get(name, "") for name in ("for", "proto", "host"))))
    return found


def is_host(text: str) -> bool:
    """Return whether a text is a host, with or without a port."""
    return _HOST.fullmatch(text) is not None


def _hop(client: str, scheme: str, host: str) -> Hop:
    """Return a hop with the well-formed parts; "" for the others."""
    address = client[1:].partition("]")[0] if client.startswith("[") else client
    if address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        ip_address(address)
    except ValueError:  # "unknown", or a name in place of the address
        address = ""
    known = scheme.lower() if scheme.lower() in ("http", "https") else ""
    return Hop(address, known, host if is_host(host) else "")


def origin_of(connection: HTTPConnection) -> str:
    """Return scheme, host and a proxy's prefix as the client reaches them. A Host header that is
    none counts as absent.
    """
    scope = connection.scope
    host = connection.headers.get("host", "")
    if not is_host(host):
        name, port = scope.get("server") or ("localhost", None)
        host = f"{name}:{port}" if port else str(name)
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '')}"
