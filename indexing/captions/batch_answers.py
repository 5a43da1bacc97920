"""Reads the result files of a batch: a line for each request, in any order, untrusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from core.media import Caption, Uncaptioned
from indexing.captions.answer import caption_of
from indexing.captions.failures import Unanswered, of_status
from indexing.captions.provider import read_completion
from indexing.captions.provider_captioner import UNUSABLE
from indexing.captions.spending import Usage


class _Response(BaseModel):
    status_code: int
    body: Any = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswers:
    """The outcomes by custom id, and the tokens used by those that cost something (None if the
    provider did not count them).
    """

    outcomes: dict[str, Caption | Uncaptioned] = field(default_factory=dict)
    used: dict[str, Usage | None] = field(default_factory=dict)


def answers_in(lines: Iterable[bytes], contexts: Mapping[str, str], made_by: str) -> BatchAnswers:
    """Return the outcomes of the stills in `contexts`; of several lines for one still the first
    counts.

    Unreadable lines and lines about other stills are skipped: a still without a line has no
    outcome.
    """
    found = BatchAnswers()
    for text in lines:
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            continue
        name = line.custom_id
        if name in contexts and name not in found.outcomes:
            _read(line.response, contexts[name], made_by, name, found)
    return found


def _read(
    response: _Response | None, context: str, made_by: str, name: str, found: BatchAnswers
) -> None:
    """Puts one still's outcome into `found`."""
    try:
        content, used = _answered(response)
    except Unanswered as failure:
        found.outcomes[name] = Uncaptioned(failure.reason, failure.again)
        if failure.billed:
            found.used[name] = None
        return
    found.used[name] = used
    caption = caption_of(content, context=context, made_by=made_by)
    found.outcomes[name] = caption or Uncaptioned(UNUSABLE, again=True)


def _answered(response: _Response | None) -> tuple[str, Usage | None]:
    """One answer's text and usage. Raises Unanswered."""
    if response is None:
        raise Unanswered("the provider did not come to it")
    if response.status_code != 200:
        body = response.body if isinstance(response.body, dict) else {}
        error = body.get("error")
        said = error.get("message", "") if isinstance(error, dict) else ""
        raise of_status(response.status_code, {}, str(said), "")
    answer = read_completion(orjson.dumps(response.body))
    return answer.content, answer.usage
