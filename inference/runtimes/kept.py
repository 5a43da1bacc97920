"""Measurements that are kept: a JSON file by model, machine and versions.

Another file of the model, another processor or another version of a runtime is another key, so that
nothing outlives what was measured.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.models.manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class KeptByModel:
    """What was measured of models on the machine that `machine` describes, in the file `path`."""

    path: Path
    machine: Callable[[], str]

    def find(self, manifest: ModelManifest) -> Mapping[str, object] | None:
        """What is kept of this model on this machine; None also where the file can't be read."""
        entry = self._entries().get(self._key(manifest))
        return entry if isinstance(entry, dict) else None

    def keep(self, manifest: ModelManifest, facts: Mapping[str, object]) -> None:
        """Write `facts` over earlier ones. Raises OSError where they can't be written."""
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
