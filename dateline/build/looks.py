"""Composition of looks at pictures: the model, the stills, and where results are kept."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import MediaError, QueryError, StorageError
from core.items import FloatMatrix
from core.ports.media import Ledger, PictureModel
from dateline.archive_folder import archive_folder
from dateline.build.engine import LOOKS_FIELD
from dateline.build.media.stills import media_store
from dateline.build.models.served import Models
from dateline.settings import Settings
from indexing.looks import Looker, LooksEmbedder
from indexing.work.remembered import Remembered


def looker_of(settings: Settings, models: Models, ledger: Ledger | None = None) -> Looker | None:
    """Return what looks at stills of the media store; None without a model for that. With a
    `ledger`, nothing is looked at twice.
    """
    if models.pictures is None:
        return None
    known = None if ledger is None else Remembered(ledger)
    return Looker(models.pictures, media_store(settings), known)


def looks_embedders(settings: Settings, looker: Looker | None) -> tuple[LooksEmbedder, ...]:
    """Return the embedder of the field of pictures, if there is one."""
    if looker is None:
        return ()
    return (LooksEmbedder(LOOKS_FIELD, looker, settings.external_processing),)


@dataclass(frozen=True, slots=True)
class Sight:
    """`search.similar.Sees`: looks at a picture that came with a request. The cage decodes it."""

    settings: Settings
    model: PictureModel

    def __call__(self, picture: bytes) -> tuple[FloatMatrix, str]:
        """Return the picture's unit vector, float32 [1, d], and the model's digest. Raises
        QueryError for what is no picture, StorageError if it can't be written for the cage.
        """
        jpeg = self._decoded(picture)
        (looked,) = self.model.look([jpeg])
        if looked is None:
            raise _unreadable("its still can't be read")
        return looked.vector, self.model.digest

    def _decoded(self, picture: bytes) -> bytes:
        from dateline.build.media.shots import cage_limits
        from indexing.media.reading import CagedReader
        from indexing.work.stages.decode import PREVIEW_EDGE

        path = archive_folder(self.settings) / "spool" / f"{os.urandom(8).hex()}.picture"
        try:
            _write(path, picture)
            with CagedReader(cage_limits(self.settings)) as reader:
                _, (still,) = reader.picture(path, (PREVIEW_EDGE,))
        except MediaError as error:
            raise _unreadable(error.what) from error
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return still.jpeg


def _write(path: Path, picture: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    except OSError as error:
        raise StorageError(f"can't be written: {error.strerror}", where=str(path)) from error


def _unreadable(why: str) -> QueryError:
    mend = "send a JPEG, PNG, WebP or another kind of picture"
    return QueryError(f"the picture can't be read: {why}", where="the body", mend=mend)
