"""What every storage engine promises of facets; part of `EngineConformance`."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from core.errors import QueryError
from core.items import Concept
from core.ports.engine import Engine
from core.query_tree import EVERYTHING
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import lexical, make_item


class FacetConformance(EngineUnderTest):
    """Counts of values among candidates."""

    def test_facets_are_ranked_and_cut(self, engine: Engine) -> None:
        names = ("Rome", "Oslo", "Rome", "Bern", "Oslo", "Rome")
        self.stories(
            engine,
            *(
                make_item(f"{n}", place=(Concept(name), Concept(name.upper())))
                for n, name in enumerate(names)
            ),
        )
        found = engine.retrieve(lexical(EVERYTHING)).ids
        counts = engine.facets(found, ["place"], 2)["place"]
        assert [(entry.value, entry.count) for entry in counts] == [("Rome", 3), ("Oslo", 2)]
        assert engine.facets(found[:0], ["place", "type"], 9) == {"place": (), "type": ()}

    def test_months(self, engine: Engine) -> None:
        moments = ("2024-03-01", "2024-02-29T23:59:59", "2024-03-31T23:00", "1969-12-31")
        days = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in moments]
        self.stories(engine, *(make_item(f"{n}", versioncreated=day) for n, day in enumerate(days)))
        found = engine.retrieve(lexical(EVERYTHING)).ids
        counts = engine.facets(found, ["versioncreated"], 9)["versioncreated"]
        assert [(entry.value, entry.count) for entry in counts] == [
            ("2024-03", 2),
            ("2024-02", 1),
            ("1969-12", 1),
        ]

    def test_a_facet_that_there_is_not(self, engine: Engine) -> None:
        with pytest.raises(QueryError, match="mood"):
            engine.facets(np.zeros(0, np.int64), ["mood"], 9)
