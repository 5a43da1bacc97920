"""The service's certificate: read at the start, and again when its files are replaced."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from core.errors import SettingsError
from dateline.settings import Settings

_log = logging.getLogger(__name__)


class Certificate:
    """A server's certificate; `context` is for TLS 1.2 or newer."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._read = self._stamp()
        self.context = self._loaded()

    def renew(self) -> None:
        """Read the files again if they have changed; new connections get the new certificate. An
        unreadable one is logged, and the one before it stays.
        """
        try:
            if (found := self._stamp()) != self._read:
                self._read = found
                self._loaded()  # a certificate and a key that don't fit must not be used
                self.context.load_cert_chain(*self._files)
        except (OSError, SettingsError) as error:
            _log.warning("the certificate is not renewed: %s", error)

    def _stamp(self) -> list[tuple[int, int]]:
        try:
            found = [path.stat() for path in self._files]
        except OSError:  # loading it says why
            return []
        return [(each.st_mtime_ns, each.st_ino) for each in found]

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A key with a pass phrase is refused: nobody can type it for a service.
            context.load_cert_chain(*self._files, password=_no_pass_phrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise _unreadable(f"{' and '.join(map(str, self._files))}: {error}") from error
        return context


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate of the settings, None for HTTP without TLS. Raises SettingsError."""
    files = [path for path in (settings.tls_certificate, settings.tls_key) if path not in _NONE]
    if not files:
        return None
    if len(files) == 1:
        raise _unreadable("one of the two is not named")
    return Certificate(files[0], files[1])


_NONE = (None, Path())


def _no_pass_phrase() -> str:
    raise ValueError("the key has a pass phrase")


def _unreadable(what: str) -> SettingsError:
    return SettingsError(
        f"the certificate can't be used: {what}",
        where="tls_certificate, tls_key",
        mend="name two PEM files that this user may read: the certificate with its chain, and its "
        "key without a pass phrase",
    )
