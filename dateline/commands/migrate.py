"""`dateline migrate`: brings the tables of a record of truth on Postgres up to date."""

from __future__ import annotations

from dateline.build.record import migrate_record
from dateline.commands.options import console, escape, reported, settings_for


def migrate() -> None:
    """Create or bring up to date the tables of the record of truth on Postgres.

    To move to another model or index is `dateline migration`.

    For the role that owns them: with a role of fewer rights in the setting `record`, services
    refuse tables that are not up to date. All of it or nothing; safe to run twice.
    """
    with reported():
        where, before, after = migrate_record(settings_for())
        if before == after:
            console.print(f"{escape(where)}: schema {after} already")
        else:
            console.print(f"{escape(where)}: schema {before or 'none'} is now {after}")
