"""Composition of the HTTP application over a service. `dateline.build.service` does not import it,
so a command that serves nothing loads no web framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from api.access.forwarding import Proxies
from api.access.services import ApiSettings, Elsewhere, Example, Services, StatusPort
from api.app import create_app, create_inner_app
from api.customers.followed import TopicSearch
from core.callers import NOBODY
from core.customers.experiments import Experiment
from core.limits import Limiter, NoLimiter
from customers.experiments import LoggedSearch
from customers.newsdesk import NewsDesk
from dateline.archive_folder import archive_folder
from dateline.build.customers.accounts import (
    account_parts,
    accounts_in_force,
    followed_topics,
    open_customers,
)
from dateline.build.customers.alerting import baskets, monitoring, on_demand, open_alerts
from dateline.build.customers.use import open_use
from dateline.build.customers.webhooks import WithWebhooks, callers_of, open_webhooks
from dateline.build.customers.wire import WithTransitions, open_receipts, open_wire
from dateline.build.engine import check_recall
from dateline.build.media.desk import LateDesk
from dateline.build.media.stills import served_media
from dateline.build.media.waiting import WithWork, Work
from dateline.build.models.served import served_models
from dateline.build.record import open_limits, open_roots
from dateline.build.service import Service, archive_clock, profiles
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_PRODUCTS, DEMO_READ_KEY
from dateline.serving.keys import key_ring
from dateline.settings import Settings
from inference.runtimes.loading import cores
from search.sampled import SampledSearch
from search.suggest import Suggester
from storage.customers.sessions import StoredSessions
from storage.customers.webhooks import StoredWebhooks
from storage.words.sampled_queries import SampledQueries


def build_app(
    service: Service, examples: Sequence[Example] = (), elsewhere: Elsewhere | None = None
) -> Any:
    """Return the ASGI application over a service; `elsewhere`, if given, answers its reads."""
    parts = _services(service, open_limits(service.settings))
    told = replace(parts.settings, examples=tuple(examples))
    return create_app(replace(parts, settings=told, elsewhere=elsewhere))


def build_inner_app(service: Service) -> Any:
    """Return the ASGI application for requests that another process has admitted."""
    return create_inner_app(_services(service, NoLimiter(), inner=True))


def _services(service: Service, limiter: Limiter, *, inner: bool = False) -> Services:
    """Return the parts behind an application; closing it closes them. An `inner` one counts
    nothing, changes no account, makes no transitions and has no feed.
    """
    settings, models = service.settings, service.models
    service.engine.suggest("", 1, NOBODY)  # reads the headlines before the first key stroke
    check_recall(service.engine, settings, models.metrics.recall_checked)
    roots = open_roots(settings)
    customers = open_customers(settings)
    clock = archive_clock(settings)
    accounts = accounts_in_force(settings, customers, clock)
    parts = account_parts(settings, customers, accounts, limiter, clock)
    topics = followed_topics(settings, customers, service.engine, clock)
    receipts = open_receipts(settings, customers, clock)
    ring = key_ring(settings, accounts, has_more=bool(accounts.book.keys))
    monitors, caller_of = monitoring(settings, customers, clock), callers_of(ring, accounts)
    wire = webhooks = alerts = work = None
    status: StatusPort = service
    if not inner:
        wire = open_wire(settings, service.engine, customers, receipts, accounts, clock)
        webhooks = open_webhooks(
            settings,
            customers,
            wire.feed,
            receipts,
            caller_of,
            topics,
        )
        alerts = open_alerts(settings, customers, service.engine, monitors, caller_of)
        work = Work(settings)
        status = WithWork(WithWebhooks(WithTransitions(service, wire), webhooks), work)
    use = open_use(settings, clock, deletes=not inner)
    most = settings.sampled_queries
    desk = LateDesk(settings)
    samples = SampledQueries(archive_folder(settings), most) if most else None

    def close() -> None:
        desk.close()
        if samples is not None:
            samples.close()
        if use is not None:
            use.close()
        if webhooks is not None:
            webhooks.close()
        if wire is not None:
            wire.close()
        if alerts is not None:
            alerts.stop()
        if work is not None:
            work.close()
        accounts.close()
        parts.usage.close()
        receipts.close()
        customers.close()
        roots.close()
        limiter.close()
        service.close()

    pipeline = service.pipeline
    search = TopicSearch(SampledSearch(pipeline, samples.keep) if samples else pipeline, topics)
    versions = service.profiles

    def running() -> Experiment | None:
        return None if versions is None else versions.book().running

    logged = LoggedSearch(search, use.log, clock, running, settings.profile) if use else None
    return Services(
        search=search if logged is None else logged,
        library=service.engine,
        writer=service.writer,
        ingest=service.ingest,
        status=status,
        keys=ring,
        settings=_api_settings(settings),
        models=served_models(
            settings, models.encoder, models.tagger, models.scorer, models.missing
        ),
        metrics=models.metrics,
        limiter=limiter,
        accounts=replace(parts, counts=not inner),
        suggest=Suggester(service.engine),
        media=served_media(settings, roots),
        topics=topics,
        webhooks=None if webhooks is None else webhooks.ports,
        receipts=receipts,
        feed=None if wire is None else wire.feed,
        readers=None if wire is None else wire.readers,
        monitoring=monitors,
        on_demand=on_demand(service.engine, customers, receipts, clock),
        use=None if use is None else use.log,
        newsdesk=NewsDesk(
            service.engine,
            receipts,
            StoredSessions(customers),
            parts.audit,
            clock,
            lambda name: book.title if (book := accounts.book.accounts.get(name)) else name,
            StoredWebhooks(customers).of_account,
        ),
        baskets=baskets(service.engine, customers, receipts, clock),
        jobs=desk,
        close=close,
    )


def _api_settings(settings: Settings) -> ApiSettings:
    """Return the settings that the API needs."""
    secret = settings.media_secret
    demo = settings.demo and settings.on_loopback and not settings.keys
    return ApiSettings(
        profiles=tuple(profiles(settings)),
        default_profile=settings.profile,
        max_body_bytes=settings.max_body_bytes,
        max_concurrent_searches=searches_of(settings),
        max_waiting=settings.waiting,
        loopback=settings.on_loopback,
        open_metrics=settings.open_metrics,
        root_path=settings.root_path,
        proxies=Proxies.of(settings.trusted_proxies),
        keys_in_urls=settings.keys_in_urls,
        cors_origins=settings.cors_origins,
        held_seconds=settings.feed_hold_seconds,
        job_sources=settings.job_sources,
        demo=demo,
        demo_read_key=DEMO_READ_KEY if demo else "",
        demo_ingest_key=DEMO_INGEST_KEY if demo else "",
        default_products=DEMO_PRODUCTS if demo else (),
        media_secret="" if secret is None else secret.get_secret_value(),
    )


def searches_of(settings: Settings) -> int:
    """Return how many searches run at the same time. More than one for each processor would only
    wait; with a cluster, most of the work is elsewhere.
    """
    if wanted := settings.workers or settings.searches:
        return wanted
    return 4 if settings.engine == "opensearch" else min(4, max(2, cores()))
