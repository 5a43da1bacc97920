"""The application: routes, error handlers, middleware and shutdown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import job_routes, operations_routes, page_routes
from api.access.admission import Admission
from api.access.callers import Surface
from api.access.checks import check_query_string, validation_problem
from api.access.forwarding import Forwarding
from api.access.pool import WorkPool
from api.access.services import ApiSettings, Services
from api.access.shares import Shares
from api.content import desk_routes, media_routes
from api.content import routes as content_routes
from api.content.media_links import MediaSigner
from api.content.routes import ItemParameters, WriteParameters
from api.customers import (
    account_routes,
    admin_routes,
    basket_routes,
    event_routes,
    feed_routes,
    on_demand_routes,
    rss_routes,
    stream_routes,
    topic_routes,
    webhook_routes,
)
from api.customers.rss_routes import RssParameters
from api.customers.topic_routes import MatchParameters
from api.envelope import API_VERSION, problem_response
from api.media import routes as ap_routes
from api.media.front import MediaFront
from api.media.links import addresses_of
from api.middleware import Observed
from api.models import routes as model_routes
from api.models import sagemaker, tei_routes
from api.problems import Problem, problem_of
from api.refusals import Refusals
from api.search import routes as search_routes
from api.search import suggest_routes
from api.search.parameters import SearchParameters
from core.errors import BusyError, DatelineError
from customers.accounts.pricing import PriceError

_DESCRIPTION = """Hybrid search over a news agency's archive and wire.

Every request has a key in the header `x-api-key`. Names and envelopes follow AP Media API 2.2;
errors are one shape, with a word for a code, a message and how to mend it."""
_WRONG_PATH = Problem(
    404, "not_found", "There is nothing at this address.", "The API is described at /docs."
)

_MODELS_ONLY = (
    model_routes.router,
    tei_routes.router,
    operations_routes.router,
    page_routes.docs_router,
)
_READERS = 10_000  # requests for pages of feeds that may wait for a thread
_EVERYTHING = (
    feed_routes.router,
    stream_routes.router,
    *ap_routes.ROUTERS,
    search_routes.router,
    search_routes.text_router,
    suggest_routes.router,
    media_routes.router,
    webhook_routes.router,
    model_routes.router,
    tei_routes.router,
    operations_routes.router,
    page_routes.router,
    page_routes.docs_router,
    topic_routes.router,
    rss_routes.router,
    on_demand_routes.router,
    event_routes.router,
    basket_routes.router,
    account_routes.router,
    admin_routes.router,
    job_routes.router,
    desk_routes.router,
    content_routes.reads,
    content_routes.router,
)


def create_app(services: Services) -> FastAPI:
    """Return the ASGI application over `services`. Its shutdown drains the pools and closes the
    services.
    """
    app = create_inner_app(services)
    settings = services.settings
    app.add_middleware(
        MediaFront,
        keys_in_urls=settings.keys_in_urls,
        origins=settings.cors_origins,
        limiter=services.limiter,
    )
    app.add_middleware(Observed, metrics=services.metrics)
    app.add_middleware(
        Forwarding, proxies=settings.proxies, root_path=settings.root_path
    )  # outermost, so that the others see the corrected request
    return app


def create_inner_app(services: Services) -> FastAPI:
    """Return the same application, for requests that another process has accepted, counted and
    logged.
    """
    surface = _surface(services)
    app = FastAPI(
        title="Dateline",
        version=API_VERSION,
        description=_DESCRIPTION,
        docs_url=None,  # the usual pages load scripts from other hosts; ours is page/docs.html
        redoc_url=None,
        redirect_slashes=False,  # an item's uri may end in a slash
        lifespan=_lifespan,
        dependencies=[Depends(check_query_string)],  # for every route; `SearchRoute` does it itself
    )
    app.state.surface = surface
    app.state.admission = Admission(surface)  # the HTTP server asks it first
    for router in _routers(services.settings):
        app.include_router(router)
    app.add_middleware(Refusals)
    app.add_exception_handler(DatelineError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    return app


def _routers(settings: ApiSettings) -> tuple[APIRouter, ...]:
    if settings.sagemaker:
        return (sagemaker.router,)
    return _MODELS_ONLY if settings.models_only else _EVERYTHING


def _surface(services: Services) -> Surface:
    settings = services.settings
    searches, models = settings.max_concurrent_searches, settings.max_concurrent_models
    return Surface(
        services,
        services.metrics,
        Shares(services.limiter),
        reads=WorkPool("searches", searches, settings.max_waiting, crowded=searches),
        writes=WorkPool("writes", settings.max_concurrent_writes, settings.max_waiting),
        # Bulks embed in their own threads, so nobody else waits for a bulk.
        bulks=WorkPool(
            "bulks", settings.max_concurrent_bulks, settings.max_waiting_bulks, behind=True
        ),
        # Changes of state have their own threads and a long queue: nothing else delays a kill.
        statuses=WorkPool("changes of state", 2, 1024),
        # Model requests have their own threads: many texts to embed must not delay searches.
        models=WorkPool(
            "model requests", models, settings.max_waiting, crowded=models, behind=True
        ),
        # Status requests have their own thread: a service that is busy with searches still answers
        # them.
        operations=WorkPool("status requests", 1, 8),
        # Media have their own threads: a slow disk behind a film must not delay searches.
        media=WorkPool("media requests", settings.max_concurrent_media, 8 * settings.max_waiting),
        # What accounts set has its own threads: the name of a webhook's host may resolve slowly.
        accounts=WorkPool("account requests", 4, 64),
        # Feeds have their own threads: many readers that are woken at once must not delay searches.
        feeds=WorkPool("feeds", 2, _READERS, behind=True),
        signer=_signer(services),
    )


def _signer(services: Services) -> MediaSigner:
    secret = services.settings.media_secret.encode()
    return MediaSigner(secret) if secret else MediaSigner()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    surface: Surface = app.state.surface
    readers = surface.services.readers
    try:
        yield
    finally:
        if readers is not None:
            readers.close()
        pools = (surface.bulks, surface.writes, surface.statuses, surface.reads, surface.models)
        others = (surface.operations, surface.media, surface.accounts, surface.feeds)
        for pool in (*pools, *others):
            pool.close()
        surface.services.close()


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatelineError)
    problem = problem_of(error)
    if isinstance(error, PriceError):
        problem = replace(problem, item=addresses_of(request).item(error.uri))
    if problem.status == 500:
        raise error  # the middleware logs it and tells the client nothing of it
    surface: Surface = request.app.state.surface
    if isinstance(error, BusyError):
        surface.metrics.refused()
    headers = {}
    if problem.status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    return problem_response(request, problem, headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    path = getattr(request.scope.get("route"), "path", "")
    models: dict[str, type[BaseModel]] = {
        suggest_routes.PATH: suggest_routes.SuggestParameters,
        "/content": WriteParameters,
        "/v1/account/downloads": account_routes.DownloadParameters,
        "/v1/admin/usage": admin_routes.UsageParameters,
        "/v1/admin/audit": admin_routes.AuditParameters,
        desk_routes.LOG_PATH: desk_routes.LogParameters,
        "/content/{item_id:path}": ItemParameters,
        webhook_routes.DEAD_PATH: webhook_routes.DeadParameters,
        topic_routes.MATCHES: MatchParameters,
        on_demand_routes.PATH: on_demand_routes.OnDemandParameters,
        f"{rss_routes.PATH}/{{rss_id}}": RssParameters,
        feed_routes.PATH: feed_routes.FeedParameters,
        stream_routes.PATH: feed_routes.SessionParameters,
        **ap_routes.PARAMETERS,
    }
    problem = validation_problem(error.errors(), models.get(path, SearchParameters))
    return problem_response(request, problem)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem_response(request, _WRONG_PATH)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        way = f"Use {allowed}." if allowed else "The API is described at /docs."
        if request.method == "DELETE" and request.url.path.startswith("/content/"):
            way = "To take an item away, send PATCH to /content/{uri}/status."
        problem = Problem(
            405,
            "method_not_allowed",
            f"{request.method[:20]} is not possible at this address.",
            way,
        )
        return problem_response(request, problem, error.headers)
    problem = Problem(error.status_code, "bad_request", str(error.detail)[:300])
    return problem_response(request, problem, error.headers)
