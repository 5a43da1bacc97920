"""What every storage engine promises, as tests. An engine's own tests subclass `EngineConformance`
and say how it is opened; nothing here knows how it works.

    class TestMine(EngineConformance):
        def open(self, folder, clock): ...
        def settle(self, engine): ...
        def open_live(self, folder, clock): ...
"""

from __future__ import annotations

from tests.storage.conformance.facets import FacetConformance
from tests.storage.conformance.filters import FilterConformance
from tests.storage.conformance.holds import HoldConformance
from tests.storage.conformance.names import NameConformance
from tests.storage.conformance.records import RecordConformance
from tests.storage.conformance.rights import RightConformance
from tests.storage.conformance.stories import StoryConformance
from tests.storage.conformance.texts import TextConformance
from tests.storage.conformance.vectors import VectorConformance
from tests.storage.conformance.visibility import VisibilityConformance
from tests.storage.conformance.words import WordConformance
from tests.storage.conformance.writes import WriteConformance


class EngineConformance(
    WriteConformance,
    HoldConformance,
    RightConformance,
    RecordConformance,
    WordConformance,
    FilterConformance,
    VectorConformance,
    VisibilityConformance,
    StoryConformance,
    FacetConformance,
    TextConformance,
    NameConformance,
):
    """All of it; a subject's tests are in its file."""
