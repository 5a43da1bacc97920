"""What every engine promises, with the record of truth on a real Postgres server: the suites that
the record on SQLite passes, not one test left out. Random examples are fewer and races shorter, for
every look at the record goes to another process; POSTGRES_HISTORIES=60 makes them as many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from core.ports.engine import Clock, Engine
from storage.embedded.engine import EmbeddedEngine
from storage.postgres.record import PostgresRecord
from tests.postgres_server import Server
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.conformance.standing import StandingConformance
from tests.storage.embedded import test_concurrency
from tests.storage.embedded.test_concurrency import *  # noqa: F403
from tests.storage.embedded.test_conformance import TestEmbedded as OnSqlite
from tests.storage.embedded.test_lacking_vectors import *  # noqa: F403
from tests.storage.embedded.test_lacking_vectors import STEPS, check_steps
from tests.storage.embedded.test_state_machine import Archive
from tests.storage.postgres_world import on
from tests.storage.world import open_embedded

HISTORIES = int(os.environ.get("POSTGRES_HISTORIES", "8"))


@pytest.fixture(autouse=True)
def _on_postgres(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(test_concurrency, "TURNS", 4 + HISTORIES)
    fewer = settings(PROPERTY, max_examples=HISTORIES)
    for test in (
        TestPostgres.test_filters_mean_the_same_everywhere,
        TestPostgres.test_any_text_at_all,
    ):
        monkeypatch.setattr(test, "_hypothesis_internal_use_settings", fewer)
    with on(postgres):
        yield


class FewHistories(Archive):
    """Fewer of them."""


FewHistories.TestCase.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestHistories = FewHistories.TestCase


@settings(max_examples=HISTORIES)
@given(STEPS)
def test_in_any_order_of_events_the_field_is_what_a_dict_says(steps: list[tuple[str, str]]) -> None:
    check_steps(steps)


class TestPostgres(OnSqlite):
    def open(self, folder: Path, clock: Clock) -> Engine:
        engine = open_embedded(folder, clock)
        assert isinstance(engine.record, PostgresRecord)
        return engine


class TestPostgresStanding(StandingConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, EmbeddedEngine)
        engine.catch_up()


del OnSqlite
