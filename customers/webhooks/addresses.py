"""Which addresses may be called for a customer: only those that anybody on the internet can reach,
and those that the operator allows. The resolved address is checked, and the connection goes to
exactly that one, so a name that resolves differently a moment later gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from core.errors import InputError

_MOST_CHARACTERS = 2000
_NAT64 = ip_network("64:ff9b::/96")
_MEND = (
    "name an https address that can be reached from the internet; to try a receiver beside the"
    " service, the operator sets webhook_http and webhook_networks"
)
Address = IPv4Address | IPv6Address


class AddressError(InputError):
    """The address of a webhook may not be called."""

    code = "bad_webhook_address"


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be called: the `networks` that the operator allows beside the public ones, and
    whether plain http is allowed.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    http: bool = False

    @classmethod
    def of(cls, networks: Iterable[str], *, http: bool = False) -> AddressRules:
        """Return rules from networks as text. Raises ValueError."""
        return cls(tuple(ip_network(each) for each in networks), http)

    def check_url(self, url: str) -> tuple[str, int]:
        """Return the host and the port of a URL. Raises AddressError."""
        if not url:
            raise AddressError("the webhook has no https address", mend=f"give its url: {_MEND}")
        if len(url) > _MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
            raise AddressError("the address is too long, or not plain ASCII", mend=_MEND)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise AddressError("the address can't be read", mend=_MEND) from error
        if parts.scheme != "https" and not (self.http and parts.scheme == "http"):
            raise AddressError("the address is not https", mend=_MEND)
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise AddressError("the address has a user, a password or a fragment", mend=_MEND)
        if not host or port == 0:
            raise AddressError("the address has no host", mend=_MEND)
        return host, port or (443 if parts.scheme == "https" else 80)

    def check_resolved(self, host: str, resolved: Sequence[str]) -> str:
        """Return the resolved address to connect to. Raises AddressError if one of them may not be
        called, or there is none.
        """
        if not resolved:
            raise AddressError(f"{host} has no address", mend=_MEND)
        for text in resolved:
            if why := self._refusal(ip_address(text.partition("%")[0])):
                raise AddressError(f"{host} resolves to {text}, {why}", mend=_MEND)
        return resolved[0]

    def _refusal(self, address: Address) -> str:
        """Return why an address may not be called, "" if it may."""
        inner = _inner(address)
        if any(inner in network for network in self.networks if network.version == inner.version):
            return ""
        kinds = (
            (inner.is_loopback, "this machine itself"),
            (inner.is_link_local, "a link-local network"),  # clouds' metadata services are there
            (inner.is_multicast, "a multicast group"),
            (inner.is_unspecified, "no address"),
            (inner.is_private, "a private network"),
            (not inner.is_global or inner.is_reserved, "a network that is not public"),
        )
        return next((why for applies, why in kinds if applies), "")


def _inner(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address that is a form of it, else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
