"""The parts of a development node: fetched by Maven on request, and checked by sha256. Maven's own
configuration says where it fetches from; this project names no registry.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import CorruptError, SettingsError, StorageError

VERSION = "2.19.1"
POM = Path(__file__).with_name("dev_cluster_pom.xml")
LOCK = Path(__file__).with_name("dev_cluster.lock")
FETCH_SECONDS = 900
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<place>[a-z0-9/-]+)/(?P<name>[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its folder below the node's, its name, and its sha256 in hex."""

    place: str
    name: str
    digest: str

    @property
    def is_zip(self) -> bool:
        """Whether its content belongs in its place, and not the file itself."""
        return self.name.endswith(".zip")


def locked_parts(lock: Path = LOCK) -> tuple[Part, ...]:
    """Return the parts that a lock file lists. Raises CorruptError for a line that is none."""
    parts = []
    for number, line in enumerate(lock.read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise CorruptError(
                "not a line of a lock file",
                where=f"{lock}:{number}",
                mend="check it out anew",
            )
        parts.append(Part(match["place"], match["name"], match["digest"]))
    return tuple(parts)


def fetch_parts(into: Path, parts: Iterable[Part]) -> None:
    """Have Maven copy the parts to the folder `into`, and check each.

    Raises SettingsError if there is no Maven, StorageError where it fails, and CorruptError for a
    file that is not the one in the lock file.
    """
    program = shutil.which("mvn")
    if program is None:
        raise SettingsError(
            "Maven is not installed, which fetches OpenSearch (mvn)",
            where="PATH",
            mend="install it, such as by `apt-get install maven`",
        )
    into.mkdir(parents=True)
    pom = shutil.copy(POM, into / "pom.xml")
    command = [program, "--batch-mode", "--quiet", "--file", str(pom), _GOAL]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"Maven did not fetch OpenSearch within {FETCH_SECONDS} s"
        raise StorageError(what, mend="try again; what it has got is kept") from error
    if done.returncode:
        raise StorageError(
            f"Maven could not fetch OpenSearch: {_reason(done.stdout + done.stderr)}",
            where=f"mvn, exit code {done.returncode}",
            mend="is the repository that Maven is set up with reachable?",
        )
    for part in parts:
        check_part(into / part.name, part)


def check_part(path: Path, part: Part) -> None:
    """Raise CorruptError if the file at `path` is not `part`."""
    found = file_digest(path) if path.is_file() else "no such file"
    if found != part.digest:
        raise CorruptError(
            f"{part.name} has the wrong sha256: {found} in place of {part.digest}",
            where=str(path),
            mend="remove it from Maven's local repository and try again; "
            "if it stays so, don't trust where it comes from",
        )


def file_digest(path: Path) -> str:
    """Return its sha256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if "[ERROR]" in line]
    return (lines[0].replace("[ERROR]", "").strip() if lines else "it did not say why")[:500]
