"""The audit log: what is changed, removed or reordered is found, and nobody's entry is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.audit import AuditEntry, AuditFilter, AuditHead, Fault, Verdict, chained, verified
from storage.customers.audit import StoredAudit
from storage.databases import open_database

AT = datetime(2026, 3, 18, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from core.audit import AuditEntry
from storage.customers.audit import StoredAudit
from storage.databases import open_database
place = sys.argv[1]
log = StoredAudit(open_database(place if "://" in place else Path(place)))
print("open", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    log.append([AuditEntry(datetime.now(UTC), sys.argv[2], "", "kill", str(number))] * 2)
"""


def entries(count: int) -> list[AuditEntry]:
    return [
        AuditEntry(AT + timedelta(seconds=n), "gazette", "gazette/desk", "kill", f"urn:{n}", "é\n")
        for n in range(count)
    ]


@given(st.data())
def test_whatever_happens_to_a_log_is_found(data: st.DataObject) -> None:
    rows = chained(AuditHead(), entries(data.draw(st.integers(2, 8))))
    head = AuditHead(rows[-1].n, rows[-1].digest)
    assert verified(rows, head) == Verdict(head)
    at = data.draw(st.integers(0, len(rows) - 1))
    one = rows[at]
    field = data.draw(st.sampled_from(["who", "key", "action", "item", "detail", "at", "cut"]))
    other = data.draw(st.integers(0, len(rows) - 1).filter(lambda n: n != at))
    match field:
        case "cut":
            changed = [row for row in rows if row is not one]
        case "at":
            entry = replace(one.entry, at=one.entry.at + timedelta(microseconds=1))
            changed = [*rows[:at], replace(one, entry=entry), *rows[at + 1 :]]
        case _:
            entry = replace(one.entry, **{field: "another"})
            changed = [*rows[:at], replace(one, entry=entry), *rows[at + 1 :]]
    assert verified(changed, head).fault is not None
    swapped = list(rows)
    swapped[at] = replace(rows[at], entry=rows[other].entry)
    swapped[other] = replace(rows[other], entry=rows[at].entry)
    assert verified(swapped, head).fault is Fault.CHANGED


def test_a_verdict_names_the_row() -> None:
    rows = chained(AuditHead(), entries(3))
    head, first = AuditHead(rows[2].n, rows[2].digest), AuditHead(rows[0].n, rows[0].digest)
    assert verified(rows[:1], head) == Verdict(first, Fault.TRUNCATED, 2)
    assert verified([rows[0], rows[2]], head) == Verdict(first, Fault.MISSING, 2)
    assert verified(rows, first) == Verdict(head, Fault.CHANGED, 3)


@given(st.integers(1, 6), st.integers(0, 6))
def test_a_log_that_was_made_anew_differs_from_a_noted_head(count: int, keep: int) -> None:
    rows = chained(AuditHead(), entries(6))
    noted = AuditHead(rows[count - 1].n, rows[count - 1].digest)
    told = [replace(one, who="herald") for one in entries(6)[:keep]]
    anew = chained(AuditHead(), told)
    head = AuditHead(anew[-1].n, anew[-1].digest) if anew else AuditHead()
    assert verified(anew, head).fault is None
    expected = Fault.ANOTHER if keep >= count else Fault.TRUNCATED
    assert verified(anew, head, noted).fault is expected


def test_a_digest_is_of_the_moment_whatever_its_zone() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5)))
    one, other = (AuditEntry(at, "a", "b", "kill") for at in (AT, there))
    assert chained(AuditHead(), [one])[0].digest == chained(AuditHead(), [other])[0].digest


@pytest.fixture
def log(place: Path | str) -> Iterator[StoredAudit]:
    database = open_database(place)
    yield StoredAudit(database)
    database.close()


def test_entries_come_back_in_their_order(
    log: StoredAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.customers.audit._AT_ONCE", 2)
    assert log.append([]) == log.head() == AuditHead()
    told = entries(5)
    log.append(told[:2])
    head = log.append(told[2:])
    rows = list(log.rows_until(head.n))
    assert [row.entry for row in rows] == told
    assert verified(rows, log.head()) == Verdict(head)
    assert [row.n for row in log.newest(AuditFilter(), 2)] == [5, 4]
    assert [row.n for row in log.newest(AuditFilter(item="urn:1"), 9)] == [2]
    assert log.newest(AuditFilter(who="herald"), 9) == []
    since = AuditFilter(action="kill", since=told[3].at)
    assert [row.n for row in log.newest(since, 9)] == [5, 4]


def test_a_log_of_an_older_version_gets_its_indexes(place: Path | str) -> None:
    database = open_database(place)

    def told(text: str) -> str:
        return database.run(lambda connection: str(connection.execute(sa.text(text)).all()))

    StoredAudit(database).append(entries(3))
    named = ("dateline_audit_by_item", "dateline_audit_by_action")
    for name in named:  # as the version before had it
        with database.engine.begin() as connection:
            connection.execute(sa.text(f"DROP INDEX {name}"))
    log = StoredAudit(database)
    catalogue = "sqlite_master" if database.is_sqlite else "pg_indexes"
    column = "name" if database.is_sqlite else "indexname"
    there = told(f"SELECT {column} FROM {catalogue}")
    assert all(name in there for name in named)
    long = "urn:" + "\N{PILE OF POO}" * 2000
    log.append([replace(entries(1)[0], item=f"{long}{end}") for end in "ab"])
    assert [row.n for row in log.newest(AuditFilter(item=f"{long}b"), 9)] == [5]
    assert [row.n for row in log.newest(AuditFilter(item="urn:1"), 9)] == [2]
    database.close()


def test_processes_that_add_at_the_same_time_make_one_chain(
    place: Path | str, log: StoredAudit
) -> None:
    names, each = ("one", "two", "three"), 15
    writers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", WRITER, str(place), name, str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    head = log.head()
    rows = list(log.rows_until(head.n))
    assert head.n == 2 * each * len(names)
    assert verified(rows, head).fault is None
    for name in names:
        own = [row.entry.item for row in rows if row.entry.who == name]
        assert own == [str(n) for n in range(each) for _ in range(2)]
