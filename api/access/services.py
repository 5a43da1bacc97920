"""What the HTTP surface needs of the other rooms: ports, settings and the object that carries them.

dateline/build/service.py makes a `Services`; tests make small real ones. Every port is synchronous
and is called from a thread of a bounded pool, never from the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from api.access.forwarding import Proxies
from api.access.keys import KeyRing
from api.formats.kept_forms import KeptForms
from api.metrics import Figures, Metrics
from api.models.served_models import ServedModels
from core.callers import Caller
from core.errors import DatelineError
from core.items import Item, MediaFile
from core.limits import Limiter, MemoryLimiter
from core.ports.customers import Receipts
from core.ports.engine import Library, StatusWriter, Suggestions
from core.writes import Part, Written
from customers.accounts.parts import AccountParts
from customers.baskets import Baskets
from customers.feed import Feed
from customers.monitoring import Monitoring
from customers.newsdesk import NewsDesk
from customers.on_demand import OnDemand
from customers.readers import Readers
from customers.topics import FollowedTopics
from customers.use_log import UseLog
from customers.webhooks.ports import WebhookPorts
from indexing.sources import Rejected
from indexing.work.desk import JobDesk
from search.answers import Searches


class IngestPort(Protocol):
    """Takes ninjs documents as parsed JSON from `by`, and answers for each, in order."""

    def put_documents(
        self,
        documents: Sequence[Mapping[str, Any]],
        products: Sequence[str],
        by: Caller,
        part: Part = Part.WHOLE,
    ) -> Sequence[Written | Rejected | DatelineError]:
        """One outcome per document, in order; durable when it returns. A document that could not be
        written has the error. With `Part.VECTORS`, a version that was changed since its text was
        put stays as it is.
        """
        ...

    def correct(self, item: Item, texts: Mapping[str, str], by: Caller, reason: str) -> Written:
        """Record the next version of an item, with some other texts."""
        ...


class StatusPort(Protocol):
    """The state of the service.

    `status` is ready for JSON: `items`, `visible` and `passages` are counts, `projections` maps a
    name to an object with `lag` in changes, `models` describes the loaded models; more may follow.
    `ready` says whether searches can be answered and, if not, why.
    """

    def status(self) -> Mapping[str, Any]:
        """Return the figures. This is cheap enough for a scrape every few seconds."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered; the reason if not."""
        ...


class MediaPort(Protocol):
    """The files behind pictures and videos, open for reading and seeking."""

    def still(self, name: str) -> BinaryIO:
        """Return a thumbnail, a preview or a shot's still by its name; raises NotFoundError."""
        ...

    def has_original(self, location: str) -> bool:
        """Return whether originals at such a location are served; the file itself is not
        checked.
        """
        ...

    def original(self, media: MediaFile) -> BinaryIO:
        """Return the original; raises NotFoundError if it is not served, is gone, or is another
        file by now.
        """
        ...


class Elsewhere(Protocol):
    """Other processes of the service that answer reads (`api/search/elsewhere.py`)."""

    @property
    def running(self) -> int:
        """How many of them can be asked now."""
        ...

    def ask(self, request: bytes) -> bytes:
        """Return the answer that `api.search.elsewhere.answered` makes there. Raises BusyError if
        the process ends before it answers.
        """
        ...

    def figures(self) -> Sequence[Figures]:
        """Return the counts of each process."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """An example query on the page: search parameters as in the API, and what there is to see."""

    label: str
    params: Mapping[str, str]
    why: str = ""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of the HTTP surface.

    `loopback` says that the service listens on a loopback address only. Then, and only then, `demo`
    gives the page the demo keys. With `open_metrics` no key is needed to read metrics.
    `max_waiting` is how many requests may queue for a thread before others are refused, and
    `max_waiting_bulks` how many bulks; a bulk takes one more place for each MiB. `max_model_tokens`
    limits the text of one model request. `models_only` says that there is no archive, so that only
    the models' endpoints exist; with `sagemaker` they are those that SageMaker asks, without a key.
    `media_secret` signs addresses of media: it must be the same in
    every process of a service, and is random if empty. `root_path` is the prefix that our own
    `proxies` put before each path. With `keys_in_urls` AP's parameter `apikey` is taken, and pages
    of `cors_origins` may read AP's answers. An empty page of AP's feed is held for `held_seconds`.
    Jobs that are ordered here read below `job_sources` only.
    """

    profiles: tuple[str, ...] = ("hybrid", "lexical", "vector")
    default_profile: str = "hybrid"
    max_body_bytes: int = 16 * 1024 * 1024
    max_documents: int = 1000
    body_timeout_seconds: float = 60.0
    max_concurrent_searches: int = 4
    max_concurrent_writes: int = 2
    max_concurrent_bulks: int = 2
    max_waiting_bulks: int = 64
    max_concurrent_models: int = 8
    max_model_tokens: int = 256 * 1024
    max_waiting: int = 32
    default_products: tuple[str, ...] = ()
    loopback: bool = False
    open_metrics: bool = False
    max_concurrent_media: int = 8
    media_secret: str = field(default="", repr=False)
    root_path: str = ""
    proxies: Proxies = field(default_factory=Proxies)
    keys_in_urls: bool = False
    cors_origins: tuple[str, ...] = ()
    held_seconds: float = 15.0
    job_sources: tuple[str, ...] = ()
    models_only: bool = False
    sagemaker: bool = False
    demo: bool = False
    demo_read_key: str = field(default="", repr=False)
    demo_ingest_key: str = field(default="", repr=False)
    examples: tuple[Example, ...] = ()


def nothing_to_close() -> None:
    """Do nothing: the default `close` of services without anything open."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the surface; `close` ends them after the last request."""

    search: Searches
    library: Library
    writer: StatusWriter
    ingest: IngestPort
    status: StatusPort
    keys: KeyRing
    settings: ApiSettings = field(default_factory=ApiSettings)
    models: ServedModels = field(default_factory=ServedModels)
    metrics: Metrics = field(default_factory=Metrics)
    limiter: Limiter = field(default_factory=MemoryLimiter)
    accounts: AccountParts | None = None
    suggest: Suggestions | None = None
    media: MediaPort | None = None
    elsewhere: Elsewhere | None = None
    webhooks: WebhookPorts | None = None
    topics: FollowedTopics | None = None
    receipts: Receipts | None = None
    feed: Feed | None = None
    readers: Readers | None = None
    monitoring: Monitoring | None = None
    on_demand: OnDemand | None = None
    use: UseLog | None = None
    newsdesk: NewsDesk | None = None
    baskets: Baskets | None = None
    jobs: Callable[[], JobDesk] | None = None  # it opens a database
    forms: KeptForms = field(default_factory=KeptForms)
    close: Callable[[], None] = nothing_to_close
