"""Composition of the record of truth, a file in the archive's folder or a database on Postgres, and
of other data that processes of an archive share, which is in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from core.errors import InputError, SettingsError
from core.extras import need_extra
from core.limits import Limiter
from core.ports.engine import Clock
from dateline.archive_folder import archive_folder
from dateline.aws.surroundings import need_lasting
from dateline.settings import Settings
from storage.embedded.record import copies
from storage.embedded.record.candidate_lists import CandidateLists
from storage.media.roots import MediaRoots
from storage.record.port import RecordOfTruth
from storage.work import host_limits

if TYPE_CHECKING:  # they need an extra
    from storage.postgres.candidate_lists import PostgresCandidateLists
    from storage.postgres.media_roots import PostgresMediaRoots

SharedLists: TypeAlias = "CandidateLists | PostgresCandidateLists"
SharedRoots: TypeAlias = "MediaRoots | PostgresMediaRoots"
_NOTHING: Mapping[str, str] = {}
_PACKAGES = ("alembic", "psycopg", "sqlalchemy")


def open_record(
    settings: Settings,
    spaces: Mapping[str, str],
    clock: Clock,
    beside: Mapping[str, str] = _NOTHING,
) -> RecordOfTruth | None:
    """Return the record of truth that the settings name; None for the one in the archive's folder.
    Raises StorageError if it can't be opened, SettingsError if the extra is missing, and in Batch
    and Lambda for one in a folder.
    """
    address = settings.record.get_secret_value()
    if not address:
        need_lasting("record")
        return None
    need_postgres()
    from storage.postgres.record import PostgresRecord

    return PostgresRecord(address, spaces, clock, beside)


def open_lists(settings: Settings, record: RecordOfTruth) -> SharedLists:
    """Return the lists behind cursors for every process of the archive of `record`."""
    address = settings.record.get_secret_value()
    if not address:
        return CandidateLists(archive_folder(settings) / copies.PROJECTIONS, record)
    from storage.postgres.candidate_lists import PostgresCandidateLists

    return PostgresCandidateLists(address)


def open_limits(settings: Settings) -> Limiter:
    """Return the counter of each key's requests, for all processes of the archive."""
    here = host_limits.open_limits(archive_folder(settings))
    address = settings.record.get_secret_value()
    if not address:
        return here
    from storage.postgres.limits import PostgresLimits

    return PostgresLimits(address, here)


def open_roots(settings: Settings) -> SharedRoots:
    """Return the places of the archive's originals. Raises SettingsError if the
    extra is missing.
    """
    address = settings.record.get_secret_value()
    if not address:
        return MediaRoots(archive_folder(settings))
    need_postgres()
    from storage.postgres.media_roots import PostgresMediaRoots

    return PostgresMediaRoots(address)


def migrate_record(settings: Settings) -> tuple[str, str, str]:
    """Bring the tables on Postgres up to this program; return their place, and their schema before
    ("" for none) and after. Raises InputError if the record is a file.
    """
    address = _address_on_postgres(settings)
    need_postgres()
    from storage.postgres.schema import migrate_at

    return migrate_at(address)


def _address_on_postgres(settings: Settings) -> str:
    address = settings.record.get_secret_value()
    if not address:
        raise InputError(
            "the record of truth is a file, which the program brings up to date by itself",
            where=str(settings.data),
            mend="name a database in the setting `record` to have it on Postgres",
        )
    return address


def need_postgres() -> None:
    """Raise SettingsError if a package of the extra [postgres] is missing."""
    purpose = "a record of truth on Postgres"
    otherwise = ", or unset it"
    need_extra(
        "postgres", purpose, _PACKAGES, error=SettingsError, where="record", otherwise=otherwise
    )


def drop_projections(folder: Path) -> None:
    """Delete the archive's projections; the next start makes them again."""
    copies.drop_projections(folder)


def backup_archive(settings: Settings, target: Path) -> int:
    """Write a consistent copy of the archive. Raises InputError for a record on Postgres."""
    _need_a_file(settings, "pg_dump writes a copy of it")
    return copies.backup(archive_folder(settings), target)


def restore_archive(source: Path, settings: Settings, *, force: bool) -> copies.Restored:
    """Put a copy in place of the archive; return its keys of accounts that nothing here knew, and
    what was hidden since. Raises InputError for a record on Postgres.
    """
    _need_a_file(settings, "pg_restore brings a copy back")
    return copies.restore(source, archive_folder(settings), force=force)


def _need_a_file(settings: Settings, mend: str) -> None:
    if settings.record.get_secret_value():
        raise InputError(
            "the record of truth is on Postgres",
            where="record",
            mend=f"{mend}: docs/postgres.md says how",
        )
