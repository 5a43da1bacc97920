"""The folder that a development node runs from, put together once from checked parts.

The published modules come without the descriptors and policies that the distribution adds, so they
are written here. A folder that is there is checked, file by file, before it is used.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import CorruptError, SettingsError, StorageError
from scripts.dev_cluster.parts import (
    LOCK,
    VERSION,
    Part,
    fetch_parts,
    file_digest,
    locked_parts,
)

_SUMS = "SHA256SUMS"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the server: the class that it starts with, which module it extends, and what it
    is permitted beyond what all are.
    """

    starts: str
    extends: str = ""
    permissions: tuple[str, ...] = ()


_RUNTIME = "java.lang.RuntimePermission"
MODULES: Mapping[str, Module] = {
    "transport-netty4": Module(
        "org.opensearch.transport.Netty4Plugin",
        permissions=(
            'java.net.SocketPermission "*", "accept,connect"',
            'java.io.FilePermission "/proc/sys/net/core/somaxconn", "read"',
            f'{_RUNTIME} "getClassLoader"',
            f'{_RUNTIME} "setContextClassLoader"',
            'java.util.PropertyPermission "sun.nio.ch.bugLevel", "write"',
        ),
    ),
    "analysis-common": Module(
        "org.opensearch.analysis.common.CommonAnalysisPlugin", "lang-painless"
    ),
    "lang-painless": Module(
        "org.opensearch.painless.PainlessPlugin",
        permissions=(f'{_RUNTIME} "createClassLoader"', f'{_RUNTIME} "getClassLoader"'),
    ),
    "reindex": Module(
        "org.opensearch.index.reindex.ReindexPlugin",
        permissions=('java.net.SocketPermission "*", "connect"',),
    ),
}


def prepared_home(cache: Path, say: Callable[[str], None]) -> Path:
    """Return the folder of a node's programs below `cache`. It is fetched and put together if it is
    missing or is not what the lock file says. Raises as `fetch_parts` and `check_home` do.
    """
    home = cache / f"opensearch-{VERSION}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds what the first one made
            return _prepared(home, say)
    except OSError as error:
        what = f"OpenSearch can't be put together: {error}"
        mend = "is there space, and may we write?"
        raise StorageError(what, where=str(cache), mend=mend) from error


def _prepared(home: Path, say: Callable[[str], None]) -> Path:
    if (home / _SUMS).is_file() and _made_from(home) == file_digest(LOCK):
        check_home(home)
        return home
    say(f"fetching OpenSearch {VERSION} with Maven: some 65 MB, once")
    parts = locked_parts()
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as folder:
        fetch_parts(Path(folder) / "parts", parts)
        made = Path(folder) / "home"
        assemble(made, Path(folder) / "parts", parts)
        shutil.rmtree(home, ignore_errors=True)
        made.rename(home)
    return home


def assemble(home: Path, fetched: Path, parts: tuple[Part, ...]) -> None:
    """Put checked files where the server looks for them, and write what it wants beside them."""
    for part in parts:
        place = home / part.place
        place.mkdir(parents=True, exist_ok=True)
        if part.is_zip:
            with zipfile.ZipFile(fetched / part.name) as archive:
                archive.extractall(place)
        else:
            shutil.copyfile(fetched / part.name, place / part.name)
    for name, module in MODULES.items():
        _describe(home / "modules" / name, name, module)
    (home / "bin").mkdir()  # the server looks whether it may read it
    files = sorted(path for path in home.rglob("*") if path.is_file())
    lines = [f"{file_digest(path)}  {path.relative_to(home).as_posix()}\n" for path in files]
    (home / _SUMS).write_text(f"{file_digest(LOCK)}  {LOCK.name}\n{''.join(lines)}", "utf-8")
    for path in (home, *home.rglob("*")):  # the user of the nodes may read it, and nobody may write
        path.chmod(0o755 if path.is_dir() else 0o644)


def check_home(home: Path) -> None:
    """Raise CorruptError if a file changed since the folder was put together."""
    for line in (home / _SUMS).read_text("utf-8").splitlines()[1:]:
        digest, _, name = line.partition("  ")
        path = home / name
        if not path.is_file() or file_digest(path) != digest:
            raise CorruptError(
                f"{name} is not as it was put there",
                where=str(home),
                mend="remove the folder; `make dev-cluster` makes it anew",
            )


def check_reach(home: Path, user: str) -> None:
    """Raise SettingsError if a user who owns nothing can't reach the folder."""
    for folder in (home, *home.parents):
        if not folder.stat().st_mode & 0o001:
            raise SettingsError(
                f"the nodes run as {user}, who may not enter {folder}",
                where="DATELINE_DEV_CLUSTER_CACHE, DATELINE_DEV_CLUSTER_FOLDER",
                mend="set them to folders that everybody may enter",
            )


def _made_from(home: Path) -> str:
    with (home / _SUMS).open(encoding="utf-8") as stream:
        return stream.readline().partition("  ")[0]


def _describe(folder: Path, name: str, module: Module) -> None:
    rows = {
        "description": name,
        "version": VERSION,
        "name": name,
        "classname": module.starts,
        "java.version": "11",
        "opensearch.version": VERSION,
        "extended.plugins": module.extends,
        "has.native.controller": "false",
    }
    text = "".join(f"{key}={value}\n" for key, value in rows.items())
    (folder / "plugin-descriptor.properties").write_text(text, "utf-8")
    if module.permissions:
        granted = "".join(f"  permission {each};\n" for each in module.permissions)
        (folder / "plugin-security.policy").write_text(f"grant {{\n{granted}}};\n", "utf-8")
