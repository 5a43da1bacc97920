"""Models packed as `model.tar.gz`, and the list in it of which model has which role.

In the archive lie one folder for each model, as in a store of models, and `dateline-models.json`.
The same models give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.errors import ModelError
from inference.models.card import CARD
from inference.models.store import MANIFEST, ModelFolder

LIST = "dateline-models.json"
ROLES = ("encoder", "tagger", "reranker", "shots")
_LONGEST_LIST = 10_000  # bytes
_MEND = f'write {{"encoder": "NAME"}} with roles of {", ".join(ROLES)}, or pack the models again'


def packed_roles(folder: Path) -> Mapping[str, str] | None:
    """Return the name of the model by role that the list in `folder` has; None if the folder is
    empty or missing. Raises ModelError for a list that is missing beside files or can't be read.
    """
    place = folder / LIST
    try:
        with place.open("rb") as stream:
            roles = json.loads(stream.read(_LONGEST_LIST))
    except FileNotFoundError:
        if folder.is_dir() and any(folder.iterdir()):
            what = f"there are files, but no {LIST}"
            raise ModelError(what, where=str(folder), mend=_MEND) from None
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"can't be read: {error}", where=str(place), mend=_MEND) from error
    if not isinstance(roles, dict) or not roles:
        raise ModelError("it names no model", where=str(place), mend=_MEND)
    for role, name in roles.items():
        if role not in ROLES or not isinstance(name, str):
            raise ModelError(f"there is no role {role!r}", where=str(place), mend=_MEND)
    return roles


def write_packed(out: Path, roles: Mapping[str, str], folders: Sequence[ModelFolder]) -> None:
    """Write the models of `folders`, each file checked by its manifest, and the list of `roles`.
    Raises ModelError for a file that is not its manifest's, OSError if `out` can't be written.
    """
    waits = out.with_name(f".{out.name}.part")
    try:
        with (
            waits.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            listed = json.dumps(dict(roles), indent=2, sort_keys=True).encode() + b"\n"
            _add(archive, LIST, listed)
            for name, data in _files(folders):
                _add(archive, name, data)
        waits.replace(out)
    finally:
        waits.unlink(missing_ok=True)


def _files(folders: Sequence[ModelFolder]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        folder.refuse_pickles()
        name = folder.manifest.name
        for path in (MANIFEST, CARD):
            if (folder.path / path).is_file():
                yield f"{name}/{path}", (folder.path / path).read_bytes()
        for path in sorted(folder.manifest.files):
            yield f"{name}/{path}", folder.read(path)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))
