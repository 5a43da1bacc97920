"""Measurements that are kept, and the processor that they hold for.

A measurement is kept in a JSON file by model, machine and versions. Another file of the model,
another processor or another version of a runtime is another key, so no measurement is used for
something else.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from inference.models.manifest import ModelManifest

_SYSTEM = Path("/proc/cpuinfo")
_FEATURES = ("flags", "Features")  # on x86, on ARM


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor's model, and its architecture with the instructions that it has."""

    name: str
    instructions: str


@cache
def this_processor() -> Processor:
    """Return the processor that this process runs on."""
    lines = _first_core()
    name = lines.get("model name") or platform.processor() or platform.machine()
    features = next((lines[key] for key in _FEATURES if key in lines), name)
    return Processor(name, f"{platform.machine()} {' '.join(sorted(features.split()))}")


def _first_core() -> dict[str, str]:
    """Return what the system says of the first core, by name; nothing if it says nothing."""
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


@dataclass(frozen=True, slots=True)
class KeptByModel:
    """What was measured of models on the machine that `machine` describes, in the file `path`."""

    path: Path
    machine: Callable[[], str]

    def find(self, manifest: ModelManifest) -> Mapping[str, object] | None:
        """Return what is kept of this model on this machine; None also if the file can't be
        read.
        """
        entry = self._entries().get(self._key(manifest))
        return entry if isinstance(entry, dict) else None

    def keep(self, manifest: ModelManifest, facts: Mapping[str, object]) -> None:
        """Write `facts` over earlier ones. Raises OSError if they can't be written."""
        entries = {**self._entries(), self._key(manifest): dict(facts)}
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        partial.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def _entries(self) -> dict[str, object]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _key(self, manifest: ModelManifest) -> str:
        files = json.dumps(sorted(manifest.files.items()))
        return hashlib.sha256(f"{files}\n{self.machine()}".encode()).hexdigest()
