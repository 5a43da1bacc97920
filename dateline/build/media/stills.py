"""Composition of the media store for stills, as the settings say."""

from collections.abc import Sequence
from pathlib import Path

from core.ports.media import MediaStore
from dateline.archive_folder import archive_folder
from dateline.build.record import SharedRoots, open_roots
from dateline.settings import Settings
from storage.media.files import FolderMediaStore, RemoteMediaStore
from storage.media.originals import ServedMedia


def media_store(settings: Settings) -> MediaStore:
    """Return the stills' folder in the archive, or the store that a setting names."""
    if settings.media_store:
        return RemoteMediaStore(settings.media_store)
    return FolderMediaStore(archive_folder(settings) / "media")


def served_media(settings: Settings, ingested: SharedRoots) -> ServedMedia:
    """Return the media that a service serves: stills, and originals from the ingested places and
    those that the settings name.
    """
    listed = (root.strip() for root in settings.media_roots.split(","))
    own = tuple(_absolute(root) for root in listed if root)

    def named() -> tuple[str, ...]:
        return (*own, *ingested.read()) if settings.originals else ()

    return ServedMedia(media_store(settings), named)


def remember_roots(settings: Settings, paths: Sequence[str], manifests: Sequence[str]) -> None:
    """Note where an ingest's originals are; for a manifest, the folder beside it. Raises
    StorageError.
    """
    beside = (one.rpartition("/")[0] for one in manifests)
    roots = open_roots(settings)
    try:
        roots.add([*paths, *(place for place in beside if place)])
    finally:
        roots.close()


def _absolute(root: str) -> str:
    return root if "://" in root else str(Path(root).absolute())
