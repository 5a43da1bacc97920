"""What every storage engine promises, as tests. An engine's own tests subclass `EngineConformance`
and say how it is opened; nothing here knows how it works.

    class TestMine(EngineConformance):
        def open(self, folder, clock): ...
        def settle(self, engine): ...
        def open_live(self, folder, clock): ...
"""

from __future__ import annotations

from tests.storage.facet_conformance import FacetConformance
from tests.storage.filter_conformance import FilterConformance
from tests.storage.hold_conformance import HoldConformance
from tests.storage.name_conformance import NameConformance
from tests.storage.record_conformance import RecordConformance
from tests.storage.right_conformance import RightConformance
from tests.storage.story_conformance import StoryConformance
from tests.storage.text_conformance import TextConformance
from tests.storage.vector_conformance import VectorConformance
from tests.storage.visibility_conformance import VisibilityConformance
from tests.storage.word_conformance import WordConformance
from tests.storage.write_conformance import WriteConformance


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
