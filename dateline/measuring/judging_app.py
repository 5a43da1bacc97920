"""The page on which a judge grades, for a browser on this machine.

It serves one sitting. Every request but those for the page's own files needs the key that the
command prints as a part of the page's address, so that no other page in the same browser, and no
other user of this machine, can read documents or give grades.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response

from api.envelope import problem_response
from api.metrics import Metrics
from api.middleware import Observed
from api.page_routes import docs_router, page_file
from api.problems import problem_of
from core.errors import DatelineError
from dateline.commands.options import console
from dateline.measuring.judging import Shown
from dateline.serving.listener import listen
from eval.judging.sitting import Sitting

_HERE = "127.0.0.1"


class Grading(BaseModel):
    """A grade with the judge's remark; without a grade the former one is taken back."""

    grade: int | None = Field(default=None, ge=0)
    note: str = Field(default="", max_length=2000)


def build_judging_app(sitting: Sitting, show: Callable[[str], Shown], key: str) -> FastAPI:
    """Return the page's service; `show` returns a document by its id."""

    def check(x_judge_key: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(x_judge_key.encode(), key.encode()):
            raise HTTPException(401, "Open the address that the command printed.")

    routes = APIRouter(prefix="/judging", dependencies=[Depends(check)])

    @routes.get("")
    def state() -> Mapping[str, Any]:
        mine = sitting.mine()
        return {
            "set": sitting.judged.title or sitting.judged.name,
            "judge": sitting.judge,
            "adjudicates": sitting.adjudicates,
            "guideline": sitting.guideline,
            "meanings": {str(grade): text for grade, text in sitting.meanings.items()},
            "graded": [pooled.pair in mine for pooled in sitting.pairs],
        }

    @routes.get("/agreement")
    def agree() -> Mapping[str, Any]:
        return asdict(sitting.agreement())

    @routes.get("/pairs/{number}")
    def pair(number: int) -> Mapping[str, Any]:
        _check_number(sitting, number)
        asked = sitting.pairs[number]
        return {
            "query": sitting.judged.queries[asked.query_id],
            "facets": dict(sitting.judged.slices.get(asked.query_id, {})),
            "document": asdict(show(asked.document_id)),
            "grade": sitting.mine().get(asked.pair),
            "others": sitting.of_others(asked.pair),
        }

    @routes.put("/pairs/{number}")
    def give(number: int, body: Grading) -> Mapping[str, Any]:
        _check_number(sitting, number)
        if body.grade is None:
            sitting.take_back(number)
        else:
            sitting.give(number, body.grade, body.note)
        return {"grade": body.grade}

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[_HERE])
    app.add_middleware(Observed, metrics=Metrics())  # adds the headers that protect a page
    app.add_exception_handler(DatelineError, _on_our_error)
    app.include_router(routes)
    app.include_router(page)
    app.include_router(docs_router)  # the page's files
    return app


page = APIRouter()


@page.get("/")
async def judging_page() -> Response:
    """The page itself, which has nothing of the set in it."""
    return await page_file("judge.html")


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatelineError)
    return problem_response(request, problem_of(error))


def serve_until_told(app: FastAPI, port: int, key: str) -> None:
    """Serve on this machine until Ctrl-C, and print the address. The key stands in the part of it
    that browsers keep to themselves. Raises SettingsError if the port can't be had.
    """
    listening = listen(_HERE, port)
    try:
        typer.echo(f"http://{_HERE}:{listening.getsockname()[1]}/#key={key}")
        console.print("Open it in a browser; Ctrl-C ends it.", style="dim")
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has ended
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()


def _check_number(sitting: Sitting, number: int) -> None:
    if not 0 <= number < len(sitting.pairs):
        raise HTTPException(404, "There is no such pair.")
