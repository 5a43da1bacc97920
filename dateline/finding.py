"""What a check of the installation has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its subject, whether it is well, what was found, how to mend it."""

    what: str
    ok: bool
    says: str
    mend: str = ""
