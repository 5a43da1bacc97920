"""Which processor this is, as the system describes it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SYSTEM = Path("/proc/cpuinfo")
_FEATURES = ("flags", "Features")  # on x86, on ARM


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor's model, and its architecture with the instructions that it has."""

    name: str
    instructions: str


@cache
def this_processor() -> Processor:
    """The processor that this process runs on."""
    lines = _first_core()
    name = lines.get("model name") or platform.processor() or platform.machine()
    features = next((lines[key] for key in _FEATURES if key in lines), name)
    return Processor(name, f"{platform.machine()} {' '.join(sorted(features.split()))}")


def _first_core() -> dict[str, str]:
    """What the system says of the first core, by name; nothing where it says nothing."""
    found: dict[str, str] = {}
    try:
        with _SYSTEM.open(encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not name.strip():
                    break
                found[name.strip()] = value.strip()
    except OSError:
        pass
    return found
