"""Experiments where searches pass: who gets which version, or a list of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from core.callers import Caller
from core.customers.experiments import Experiment, Way
from core.ports.engine import Clock
from core.retrieval import SortOrder
from customers.use_log import NO_TRIAL, Trial, UseLog, hashed, normalized
from search.answers import Draft, Searches, SearchRequest, SearchResponse


class LoggedSearch:
    """Answers like `searches`, keeps the answers that may be kept, and lets them take part in the
    experiment that is `running`. A caller who did not agree to the log is in no experiment. An
    experiment is about the profile that is served by default, and ends by itself when its first
    queries would leave the log.
    """

    def __init__(
        self,
        searches: Searches,
        log: UseLog,
        clock: Clock,
        running: Callable[[], Experiment | None] = lambda: None,
        default_profile: str = "",
    ) -> None:
        self._searches, self._log, self._clock = searches, log, clock
        self._running, self._default = running, default_profile

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Search; the answer has the id by which events name it."""
        if not self._log.keeps(request, caller):
            return self._searches.search(request, caller)
        asked, trial = self._tried(request, caller)
        answer = self._searches.search(asked, caller)
        return replace(answer, query_id=self._log.searched(request, caller, answer, trial))

    def _tried(self, request: SearchRequest, caller: Caller) -> tuple[SearchRequest, Trial]:
        """Return the request as the experiment wants it, and its part in it."""
        experiment = self._running()
        if request.profile or request.order is not SortOrder.SCORE or experiment is None:
            return request, NO_TRIAL
        end = experiment.started + timedelta(days=self._log.rules.days)
        if experiment.profile != self._default or self._clock() >= end:
            return request, NO_TRIAL
        if experiment.way is Way.INTERLEAVE:
            # A caller who asks the same again on a day gets the same list.
            asked_for = f"{caller.account}\0{normalized(request.q)}\0{self._clock():%Y-%m-%d}"
            seed = int(hashed(experiment.secret, "draft", asked_for)[:15], 16)
            draft = Draft(experiment.candidate_name, seed)
            asked = replace(request, profile=experiment.base_name, draft=draft)
            return asked, Trial(experiment.name)
        unit = hashed(experiment.secret, "unit", caller.account)
        arm = experiment.candidate_name if int(unit[:8], 16) % 2 else experiment.base_name
        return replace(request, profile=arm), Trial(experiment.name, arm, unit)
