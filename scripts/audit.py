"""Checks shipped packages: known vulnerabilities, licences, and calls that execute data.

    python scripts/audit.py                                  # `make audit`
    VULNERABILITIES=all.zip python scripts/audit.py          # with a database

VULNERABILITIES names a database in the format of OSV (a file of JSON, lines of JSON, a folder or a
zip archive of such files, as OSV hands out for PyPI) or a report in JSON by pip-audit. Nothing is
fetched. The exit code is 1 if something is found, and 2 where the database can't be read.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parent.parent
LOCKS = sorted(ROOT.glob("requirements*.lock"))
# Installed for tests as well, so their licences can be read here. The packages for NVIDIA's cards
# need a separate environment; the other locks hold what only developers use.
SHIPPED = [ROOT / "requirements.lock", ROOT / "requirements-media.lock"]
ROOMS = (
    *("core", "inference", "storage", "rerank", "search", "indexing", "customers"),
    *("capacity", "eval", "api", "training", "dateline"),
)
# exec, pickle and its kin, marshal, eval, import of pickle, a shell: ruff's numbers for them.
UNSAFE_CALLS = "S102,S301,S302,S307,S403,S602,S604,S605"
Affected = tuple[str, Callable[[Version], bool]]


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of a lock file; `wanted` says whether this platform installs it."""

    name: str
    version: Version
    lock: str
    wanted: bool


def locked_packages(locks: Iterable[Path]) -> Iterator[Locked]:
    """Yield every package that the lock files pin."""
    for lock in locks:
        lines = lock.read_text("utf-8").replace("\\\n", " ").splitlines()
        for line in lines:
            if not line.strip() or line.startswith(("#", "-")):
                continue
            pinned = Requirement(line.split(" --hash")[0].strip())
            (exactly,) = pinned.specifier
            wanted = pinned.marker is None or pinned.marker.evaluate()
            name = canonicalize_name(pinned.name)
            yield Locked(name, Version(exactly.version), lock.name, wanted)


# --- vulnerabilities


def records(database: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of the database, whichever way they are packed."""
    if database.is_dir():
        for path in sorted(database.rglob("*.json*")):
            yield from _objects(path.read_text("utf-8"))
    elif zipfile.is_zipfile(database):
        with zipfile.ZipFile(database) as packed:
            for name in packed.namelist():
                if not name.endswith("/"):
                    yield from _objects(packed.read(name).decode())
    else:
        yield from _objects(database.read_text("utf-8"))


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    yield from found if isinstance(found, list) else [found]


def vulnerabilities(found: Iterable[Mapping[str, Any]]) -> dict[str, list[Affected]]:
    """Return, by package: the id of each vulnerability, and which versions have it."""
    known: dict[str, list[Affected]] = {}
    for record in found:
        for name, affected in (
            _by_pip_audit(record) if "dependencies" in record else _by_osv(record)
        ):
            known.setdefault(canonicalize_name(name), []).append(affected)
    return known


def _by_pip_audit(report: Mapping[str, Any]) -> Iterator[tuple[str, Affected]]:
    for package in report["dependencies"]:
        for one in package.get("vulns", ()):
            yield package["name"], (one["id"], partial(_is_listed, [package["version"]]))


def _by_osv(record: Mapping[str, Any]) -> Iterator[tuple[str, Affected]]:
    if record.get("withdrawn"):
        return
    for affected in record["affected"]:
        package = affected.get("package", {})
        if package.get("ecosystem") == "PyPI":
            yield package["name"], (record["id"], partial(_is_affected, affected))


def _is_affected(affected: Mapping[str, Any], version: Version) -> bool:
    ranges = [entry for entry in affected.get("ranges", ()) if entry["type"] == "ECOSYSTEM"]
    return _is_listed(affected.get("versions", ()), version) or any(
        _is_within(entry["events"], version) for entry in ranges
    )


def _is_listed(versions: Iterable[str], version: Version) -> bool:
    return any(_version(listed) == version for listed in versions)


def _is_within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """Return whether the last event at or below the version leaves it affected."""
    state = False
    for kind, at in sorted(_moments(events), key=lambda event: event[1]):
        reached = version > at if kind == "last_affected" else version >= at
        if reached:
            state = kind == "introduced"
    return state


def _moments(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind, at in event.items():
            version = _version(at)
            if kind != "limit" and version is not None:
                yield kind, version


def _version(text: str) -> Version | None:
    """Return None if the text is not a Python version: no locked package can equal it."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def vulnerable(packages: Iterable[Locked], known: Mapping[str, list[Affected]]) -> list[str]:
    """Return a line for each package with a vulnerability that is known."""
    lines = {
        f"{package.name} {package.version} ({package.lock}) has {name}"
        for package in packages
        for name, affects in known.get(package.name, ())
        if affects(package.version)
    }
    return sorted(lines)


# --- licences


def licence_of(found: Distribution) -> str:
    """Return what the package says of its licence: the expression, else classifiers, else the
    field.
    """
    told = found.metadata.json
    classifiers = [c for c in told.get("classifier", ()) if c.startswith("License ::")]
    field = str(told.get("license", "")).strip().partition("\n")[0]
    return str(told.get("license_expression", "")) or " AND ".join(classifiers) or field


def is_allowed(licence: str) -> bool:
    """Return whether shipped packages may have this licence: none of its binding terms is GPL or
    AGPL. LGPL is allowed, and GPL with an exception for linking.
    """
    obeyed = re.split(r"\bAND\b", re.sub(r"\S*GPL\S* WITH \S+", "", licence))
    strict = re.compile(r"(?<![A-Za-z])A?GPL|GNU (Affero )?General Public", re.IGNORECASE)
    return bool(licence) and not any(strict.search(one) and " OR " not in one for one in obeyed)


def forbidden_licences(packages: Iterable[Locked], installed: Iterable[Distribution]) -> list[str]:
    """Return a line for each package that may not ship, or of which no licence can be read."""
    licences: dict[str, str] = {
        canonicalize_name(found.name): licence_of(found) for found in installed
    }
    lines = set()
    for package in packages:
        if not package.wanted:
            continue
        licence = licences.get(package.name)
        if licence is None:
            lines.add(f"{package.name} ({package.lock}) is not installed: its licence is not read")
        elif not is_allowed(licence):
            lines.add(f"{package.name} ({package.lock}): {licence or 'names no licence'}")
    return sorted(lines)


# --- our own code


def unsafe_calls(root: Path, folders: Sequence[str]) -> list[str]:
    """Return a line for each call that loads or runs what data say; a comment can't excuse one."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--ignore-noqa"]
    options = ["--no-cache", "--output-format", "concise", "--select", UNSAFE_CALLS]
    found = subprocess.run(  # noqa: S603 - a command of ours
        [*command, *options, *folders], cwd=root, capture_output=True, text=True, check=False
    )
    if found.returncode not in (0, 1):
        raise RuntimeError(found.stderr)
    return [line for line in found.stdout.splitlines() if re.match(r"\S+:\d+:\d+: ", line)]


def is_found(subject: str, lines: Sequence[str]) -> bool:
    """Print the findings on a subject; return whether there are any."""
    print(f"{subject}: {len(lines) or 'none'}", *(f"  {line}" for line in lines), sep="\n")
    return bool(lines)


def main() -> int:
    """Print the audit; return the exit code."""
    database = os.environ.get("VULNERABILITIES", "")
    found = is_found(
        "Licences that may not ship", forbidden_licences(locked_packages(SHIPPED), distributions())
    )
    found |= is_found("Calls that run what data say", unsafe_calls(ROOT, ROOMS))
    if not database:
        print("Known vulnerabilities: not checked, as VULNERABILITIES names no database")
        return int(found)
    try:
        known = vulnerabilities(records(Path(database)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"{database}: neither OSV's format nor a report by pip-audit ({error!r})")
        return 2
    found |= is_found("Known vulnerabilities", vulnerable(locked_packages(LOCKS), known))
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
