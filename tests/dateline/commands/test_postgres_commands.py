"""The commands with the record of truth on Postgres: two folders, as on two hosts, one archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from core.errors import SettingsError
from dateline.build import record as build_record
from dateline.build.media.stills import remember_roots, served_media
from dateline.build.record import open_roots
from dateline.build.service import build_service
from dateline.commands.options import encoder_only
from dateline.serving.shared_state import kept_apart
from dateline.settings import Settings, configure
from storage.postgres.schema import newest
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.postgres_server import Server, server
from tests.storage.postgres_world import address_of

NEWEST = newest()


@pytest.fixture
def address(postgres: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = address_of(postgres, folder)
    monkeypatch.setenv("DATELINE_RECORD", found)
    return found


def run(cli: Cli, *arguments: str, code: int = 0) -> str:
    """A command that takes no --data."""
    from typer.testing import CliRunner

    from dateline.cli import app

    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_what_one_host_ingests_another_finds(cli: Cli, folder: Path, address: str) -> None:
    wire = write_lines(folder / "wire.jsonl", *DOCUMENTS)
    cli("ingest", wire, "--products", "demo")
    assert not (cli.data / "record.sqlite3").exists()
    other = Cli(folder / "other")
    assert other.found("ferry") == cli.found("ferry") != []
    cli("set-status", "urn:ferry", "canceled")
    assert "urn:ferry" not in other.found("ferry")
    status = other.json("status")
    assert status["items"] == 3
    assert status["engine"]["record"]["where"].startswith("postgresql at 127.0.0.1:")
    assert "record of truth: postgresql at 127.0.0.1" in other("status").stdout
    other("rebuild")
    assert "urn:photo" in other.found("ferry")


def test_doctor_tells_of_the_record(cli: Cli, address: str) -> None:
    findings = {f["what"]: f for f in cli.json("doctor", code=None)}
    assert findings["record"]["ok"]
    assert f"schema {NEWEST}" in findings["record"]["says"]
    assert findings["archive"]["says"] == "0 versions, 0 visible"


def test_doctor_tells_what_other_hosts_do_not_know(
    cli: Cli, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hosts,) = [found for found in cli.json("doctor", code=None) if found["what"] == "hosts"]
    for name in ("media_secret", "media_store", "work_url"):
        assert name in hosts["says"]
    assert "(cursors)" not in hosts["says"]
    monkeypatch.setenv("DATELINE_MEDIA_SECRET", "the same everywhere")
    monkeypatch.setenv("DATELINE_MEDIA_STORE", "s3://bucket/stills")
    monkeypatch.setenv("DATELINE_WORK_URL", address)
    assert kept_apart(configure().settings) == []
    monkeypatch.setenv("DATELINE_CURSORS", "memory")
    assert len(kept_apart(configure().settings)) == 1
    monkeypatch.delenv("DATELINE_RECORD")
    assert kept_apart(configure().settings) == []


def test_originals_that_one_host_ingested_are_served_by_another(
    address: str, tmp_path: Path
) -> None:
    one, other = (Settings(data=tmp_path / name, record=SecretStr(address)) for name in "ab")
    remember_roots(one, ["/photos", "s3://bucket/films"], ["/wire/list.jsonl"])
    roots = open_roots(other)
    media = served_media(other, roots)
    for location in ("/photos/dog.jpg", "s3://bucket/films/a.mp4", "/wire/b.jpg"):
        assert media.has_original(location)
    assert not media.has_original("/elsewhere/dog.jpg")
    assert not (tmp_path / "a").exists()
    roots.close()


def test_migrate(cli: Cli, address: str) -> None:
    assert f"schema none is now {NEWEST}" in run(cli, "migrate")
    assert f"schema {NEWEST} already" in run(cli, "migrate")


def test_migrate_without_postgres(cli: Cli) -> None:
    assert "the record of truth is a file" in run(cli, "migrate", code=2)


def test_backup_and_restore_name_postgres_s_tools(cli: Cli, folder: Path, address: str) -> None:
    assert "pg_dump" in cli("backup", folder / "copy", code=2).stderr
    (folder / "copy").write_bytes(b"x")
    assert "pg_restore" in cli("restore", folder / "copy", code=2).stderr


def test_the_password_is_shown_nowhere(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DATELINE_RECORD", "postgresql://desk:hunter2@127.0.0.1:1/archive")
    for arguments, code in (
        (("settings",), 0),
        (("settings", "--json"), 0),
        (("status",), 4),
        (("search", "x"), 4),
        (("migrate",), 4),
        (("doctor",), 1),
        (("doctor", "--json"), 1),
    ):
        said = cli(*arguments, code=code) if arguments != ("migrate",) else None
        output = run(cli, "migrate", code=4) if said is None else said.output
        assert "hunter2" not in output
        assert "desk" not in output
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(configure().settings)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.extras.find_spec", lambda name: None if name == "psycopg" else name)
    settings = Settings(record=SecretStr("postgresql://127.0.0.1/x"))
    with pytest.raises(SettingsError, match="psycopg") as failure:
        build_record.open_record(settings, {}, lambda: None)  # type: ignore[arg-type, return-value]
    assert "dateline-search[postgres]" in failure.value.mend


def test_an_archive_of_a_judged_set_stays_a_file(address: str, tmp_path: Path) -> None:
    inner = configure().settings.with_archive_in(tmp_path)
    assert (inner.data, inner.record.get_secret_value()) == (tmp_path, "")
    assert not inner.has_archive


def test_a_host_is_ready_only_while_the_record_answers(tmp_path: Path) -> None:
    with server() as own:
        settings = Settings(data=tmp_path, record=SecretStr(own.url()), second_encoder="")
        service = build_service(encoder_only(settings))
        try:
            assert service.ready() == (True, "")
            own.stop()
            assert not service.ready()[0]
            own.start()
            assert service.ready() == (True, "")
        finally:
            service.close()
