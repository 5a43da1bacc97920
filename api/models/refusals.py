"""Refusals in the shape of the API that was asked, as its clients read them.

| addresses | shape |
|---|---|
| `/v1/embeddings`, `/v1/models` | OpenAI's: `error` with `message`, `type`, `param` and `code` |
| `/v1/rerank`, `/v2/rerank`, `/v1/embed`, `/v2/embed` | Cohere's: `id` and `message` |
| text-embeddings-inference's (`TEI_PATHS`) | its own: `error` and `error_type` |

Statuses are those of all our routes, except the last row's, whose server has its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from api.envelope import Json, Refusal, request_id
from api.problems import Problem

TEI_PATHS = frozenset({"/", "/embed", "/rerank", "/predict", "/tokenize", "/decode", "/info"})
COHERE_PATHS = frozenset({"/v1/rerank", "/v2/rerank", "/v1/embed", "/v2/embed"})
_OPENAI_CODES = {"unauthorized": "invalid_api_key", "too_many_requests": "rate_limit_exceeded"}
_OPENAI_TYPES = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
# Status and type of text-embeddings-inference for a code of ours; others keep their status.
_TEI = {
    "empty": (400, "Empty"),
    "bad_document": (422, "Tokenizer"),
    "bad_parameter": (422, "Validation"),
    "bad_request": (422, "Tokenizer"),
    "model_not_found": (424, "Backend"),
    "model_unavailable": (424, "Backend"),
    "internal": (500, "Backend"),
    "busy": (429, "Overloaded"),
    "too_many_requests": (429, "Overloaded"),
}


def refusal_of(path: str, method: str) -> Refusal | None:
    """Return what writes the refusals of a published model API; None for any other path, and for
    the page, which is read where texts are posted.
    """
    if path in TEI_PATHS and (path != "/" or method == "POST"):
        return _tei
    if path in COHERE_PATHS:
        return _cohere
    return _openai if path == "/v1/embeddings" or path.startswith("/v1/models") else None


def _openai(request: Request, problem: Problem, headers: Mapping[str, str]) -> Json:
    error = {
        "message": _whole(problem),
        "type": _OPENAI_TYPES.get(problem.status, "invalid_request_error"),
        "param": problem.field or None,
        "code": _OPENAI_CODES.get(problem.code, problem.code),
    }
    return Json({"error": error}, status_code=problem.status, headers=dict(headers))


def _cohere(request: Request, problem: Problem, headers: Mapping[str, str]) -> Json:
    content = {"id": request_id(request), "message": _whole(problem)}
    return Json(content, status_code=problem.status, headers=dict(headers))


def _tei(request: Request, problem: Problem, headers: Mapping[str, str]) -> Json:
    status, kind = _TEI.get(problem.code, (problem.status, "Validation"))
    content = {"error": _whole(problem), "error_type": kind}
    return Json(content, status_code=status, headers=dict(headers))


def _whole(problem: Problem) -> str:
    """Return what is wrong and how to mend it, as clients log one text only."""
    return f"{problem.message} {problem.mend}".strip()
