"""Whatever is written in whatever order: why an item is missing, spelling and pins tell no more
than the dict of tests/search/guard/test_surfaces.py shows.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from core.callers import Caller
from search.answers import MissingStage
from search.pipeline import SearchPipeline
from search.understanding.editorial import Editorial
from search.understanding.spelling import Doubt
from tests.search.engines import EMBEDDED
from tests.search.guard.test_surfaces import CALLERS, URIS, Surfaces

RULES = Editorial({("shared",): ("common",)}, {"common": tuple(URIS), "comon": ("a",)})


class Told(Surfaces):
    """The same writes; what else an answer says is compared after some of them."""

    def __init__(self) -> None:
        super().__init__(EMBEDDED)
        self.pipeline = SearchPipeline(
            replace(self.room.pipeline._parts, editorial=lambda: RULES, doubt=Doubt())
        )

    @rule(uri=st.sampled_from([*URIS, "unknown"]), caller=st.sampled_from(CALLERS))
    def why_missing(self, uri: str, caller: Caller) -> None:
        said = self.room.ask("common", caller, why_missing=uri).missing
        assert said is not None
        if uri in self.model.hits(caller, self.room.now):
            assert said.stage in (MissingStage.NONE, MissingStage.RETRIEVAL)  # not indexed yet
            return
        if self.room.engine.chain(uri, caller):
            assert said.stage is MissingStage.STORY
            return
        unknown = self.room.ask("common", caller, why_missing="unknown").missing
        assert unknown is not None
        assert replace(said, uri="unknown") == unknown

    @rule(caller=st.sampled_from(CALLERS))
    def spelling(self, caller: Caller) -> None:
        answer = self.room.ask("comon", caller, pipeline=self.pipeline)
        assert answer.suggestion in ("", "common")
        assert not answer.suggestion or self.model.hits(caller, self.room.now)

    @rule(caller=st.sampled_from(CALLERS), profile=st.sampled_from(["lexical", "hybrid"]))
    def pins(self, caller: Caller, profile: str) -> None:
        answer = self.room.ask(
            "common", caller, pipeline=self.pipeline, profile=profile, facets=("place", "type")
        )
        self.check(answer, caller)
        assert len(answer.hits) == len(self.model.hits(caller, self.room.now))
        assert all(hit.pinned for hit in answer.hits)


TestTold = Told.TestCase
TestTold.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
