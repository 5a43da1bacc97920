"""`dateline serve` by the clock of a test, with one more route: `POST /bulk` writes to the engine.

It takes versions and states by the hundred, without the models that `POST /content` runs, so that
a test can make a million transitions. The record, the transitions and the feed are as in service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

import tests.guard.process as process
from core.items import PubStatus
from core.writes import REFUSED, PutItem, SetStatus, Written
from dateline.build.engine import ServedEngine
from dateline.build.service import Service
from tests.storage.world import make_item

PRODUCT = "wire"


def item_of(
    uri: str, version: int, embargoed: float | None = None, expires: float | None = None
) -> PutItem:
    """A version as it is put, with a text that only it has."""
    item = make_item(
        uri,
        version,
        headline=f"Story {uri}, version {version}",
        body=f"{uri} says in version {version} what every story says.",
        products=(PRODUCT,),
        embargoed=_time(embargoed),
        expires=_time(expires),
    )
    return PutItem(item)


def state_of(uri: str, pubstatus: str | None, embargoed: float | None = None) -> SetStatus:
    """A change of state as it is set."""
    return SetStatus(uri, pubstatus and PubStatus(pubstatus), _time(embargoed))


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _write(engine: ServedEngine, puts: Sequence[Any], states: Sequence[Any]) -> bytes:
    """Writes; the answer has what was refused."""
    written: list[Written] = []
    if puts:
        written += engine.put([item_of(*put) for put in puts])
    if states:
        written += engine.set_status([state_of(*state) for state in states])
    refused = [w for w in written if w.outcome in REFUSED and not w.known]
    return orjson.dumps([[w.uri, w.version, w.outcome] for w in refused])


def _with_bulk() -> None:
    """Has the service's application take the route."""
    import dateline.serving.front as command

    build = command.build_app

    def build_with_bulk(service: Service, *parts: Any) -> FastAPI:
        app: FastAPI = build(service, *parts)

        async def bulk(request: Request) -> Response:
            order = orjson.loads(await request.body())
            work = (_write, service.engine, order["puts"], order["states"])
            return Response(await asyncio.to_thread(*work), media_type="application/json")

        app.router.add_route("/bulk", bulk, methods=["POST"])
        return app

    command.build_app = build_with_bulk


if __name__ == "__main__":
    process.main(_with_bulk)
