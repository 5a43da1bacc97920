"""The answer to a write, in the contract's words."""

from __future__ import annotations

from typing import Any

from api.access.bodies import Unreadable
from api.problems import Problem, problem_of
from core.errors import DatelineError
from core.writes import REFUSED, Outcome, Written
from indexing.sources import Rejected

_REFUSALS = {
    Outcome.STALE: (409, "stale", "A newer version of this item is recorded already."),
    Outcome.CONFLICT: (409, "conflict", "This version is recorded already, with other content."),
    Outcome.FORBIDDEN: (403, "forbidden", "This key does not write all products of the item."),
    Outcome.RESERVED: (403, "reserved", "This uri or its story is reserved for another key."),
    Outcome.TAKEN: (409, "taken", "This uri or its story is not this key's to write."),
    Outcome.MISSING: (404, "not_found", "There is no such item."),
}
_MENDS = {
    Outcome.STALE: "Send a version above the recorded one.",
    Outcome.CONFLICT: "Raise the version: what was published is never rewritten in place.",
    Outcome.FORBIDDEN: "Name products that the key writes, in the document or by ?products=.",
    Outcome.RESERVED: "Use a uri outside of others' prefixes, or a key of their owner.",
    Outcome.TAKEN: "Choose another uri, or a key that writes all products of the recorded item.",
    Outcome.MISSING: "Check the uri and its percent-encoding.",
}

_UNRECORDED = frozenset({Outcome.HELD, Outcome.RELEASED})
_STATUSES = {Outcome.CREATED: 201, Outcome.HELD: 202}


def uri_of(document: Any) -> str:
    """Return the uri in a document, "" without one; answers name the document by it."""
    uri = document.get("uri") if isinstance(document, dict) else None
    return uri[:500] if isinstance(uri, str) else ""


def result_json(
    number: int, outcome: Written | Rejected | Unreadable | DatelineError, uri: str = ""
) -> dict[str, Any]:
    """Return the answer for the document number `number` (from 1); `uri` is the document's."""
    if isinstance(outcome, Unreadable):
        error = {"status": 400, "code": "bad_document", "message": outcome.reason}
        return {"number": number, "line": outcome.line, "error": error}
    if isinstance(outcome, DatelineError):
        return {"number": number, "uri": uri, "error": _failure(problem_of(outcome))}
    if not isinstance(outcome, Written):
        error = {"status": 400, "code": "bad_document", "message": outcome.reason}
        if outcome.field:
            error["field"] = outcome.field
        return {"number": number, "uri": uri, "error": error}
    result: dict[str, Any] = {"number": number, "uri": outcome.uri}
    if outcome.outcome not in _UNRECORDED:
        result["version"] = outcome.version
    result["outcome"] = outcome.outcome.value
    if outcome.held:
        result["held"] = outcome.held
    if outcome.words_only:
        result["words_only"] = list(outcome.words_only)
    if outcome.outcome in REFUSED:
        status, code, message = _REFUSALS[outcome.outcome]
        mend = _MENDS[outcome.outcome]
        result["error"] = {"status": status, "code": code, "message": message, "mend": mend}
    return result


def _failure(problem: Problem) -> dict[str, Any]:
    """Return the error of a document that could not be written through no fault of its own."""
    return {
        "status": problem.status,
        "code": problem.code,
        "message": problem.message,
        "mend": problem.mend,
    }


def refusal(result: dict[str, Any]) -> Problem | None:
    """Return a single document's error as the error of the whole request."""
    error = result.get("error")
    if not error:
        return None
    mend = error.get("mend", "Correct the document and send it again.")
    return Problem(error["status"], error["code"], error["message"], mend, error.get("field", ""))


def single_status(result: dict[str, Any]) -> int:
    """Return 201 for a single new document, 202 for an item that is not recorded yet, else 200."""
    return _STATUSES.get(result.get("outcome", ""), 200)
