"""Every surface of an archive, and how each is asked.

Surfaces are the routes in the OpenAPI document, the routes outside of it, and the commands. A test
fails where one of them is in no table here, and where a parameter has no filler.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from core.media_words import MEDIA_WORDS
from core.retrieval import SortOrder
from customers.rss import TOPICS_FROM
from search.answers import FACET_FIELDS
from tests.guard.model import marks_in


class Shows(Enum):
    """Which items an answer may show, of those that its caller may see."""

    HEADS = "the newest of each story"
    STORY = "the story of the item that is asked for"
    NOTHING = "nothing"
    DESK = "uris, in any state, to a key that may change them and inspect"

    @property
    def any(self) -> bool:
        """Whether it may show one at all."""
        return self not in (Shows.NOTHING, Shows.DESK)


class Scene(Protocol):
    """What there is to ask for."""

    rng: random.Random

    def uri(self) -> str: ...

    def word(self) -> str: ...

    def cursor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what its answer may show."""

    method: str
    path: str
    shows: Shows
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  # beside the key

    @property
    def typed(self) -> set[str]:
        """The made-up words in the request itself."""
        return marks_in(f"{self.path} {self.params} {self.json}")

    @property
    def surfaces(self) -> list[str]:
        """The names of what it looks at: the route, and the route with each parameter and each
        header.
        """
        route = f"{self.method} {self.path.partition('urn:')[0]}"
        given = [*(name for name, value in self.params.items() if value), *self.headers]
        return [route, *(f"{route} {name}" for name in given)]

    @property
    def names(self) -> set[str]:
        """The uris that the request names in its path and parameters, among other texts."""
        return {self.item, *(str(self.params.get(name)) for name in _NAMING)}

    @property
    def item(self) -> str:
        """The uri at the end of the path, where that names an item."""
        path = self.path
        for end in ("/download", "/diff", "/status", "/correction"):
            path = path.removesuffix(end)
        return path.rpartition("/")[2]

    def about(self, uri: str, other: str) -> Ask:
        """The same question about another item."""
        params = {k: other if k in _NAMING and v == uri else v for k, v in self.params.items()}
        return replace(self, path=self.path.replace(uri, other), params=params)


AP = "/media/v/"  # the paths of AP Media API
STREAM = "/content/stream"  # its answer has no end
JSON, JSON_LINES = "application/json", "application/x-ndjson"
_NAMING = ("similar_to", "why_missing")  # parameters that name an item
Operation = tuple[str, str]  # method and path
_MONITORS, _SWITCHES = "/media/v/account/monitors", ("enable", "disable")

ROUTES: dict[Operation, Shows] = {
    ("GET", "/content/search"): Shows.HEADS,
    ("POST", "/content/search"): Shows.HEADS,
    ("GET", "/v1/suggest"): Shows.HEADS,
    ("GET", "/content/{item_id}"): Shows.STORY,
    ("GET", "/content/{item_id}/diff"): Shows.STORY,
    ("GET", "/content/{item_id}/status"): Shows.DESK,
    ("POST", "/content/{item_id}/correction"): Shows.NOTHING,
    ("GET", "/v1/desk/log"): Shows.DESK,
    ("GET", "/content/{item_id}/renditions/{form}"): Shows.HEADS,
    ("GET", "/v1/media/{rendition}/{item_id}"): Shows.HEADS,
    ("GET", "/media/v/content/search"): Shows.HEADS,
    ("GET", "/media/v/content/{item_id}"): Shows.STORY,
    ("GET", "/media/v/content/{item_id}/download"): Shows.HEADS,
    ("GET", "/content/rss"): Shows.NOTHING,
    ("GET", "/content/rss/{rss_id}"): Shows.HEADS,
    ("GET", "/content/ondemand"): Shows.HEADS,
    ("POST", "/v1/ondemand"): Shows.NOTHING,
    ("POST", "/v1/events"): Shows.NOTHING,
    ("GET", "/v1/baskets"): Shows.NOTHING,
    ("POST", "/v1/baskets"): Shows.NOTHING,
    ("GET", "/v1/baskets/{basket_id}"): Shows.HEADS,
    ("PATCH", "/v1/baskets/{basket_id}"): Shows.NOTHING,
    ("DELETE", "/v1/baskets/{basket_id}"): Shows.NOTHING,
    ("PUT", "/v1/baskets/{basket_id}/items/{item_id}"): Shows.NOTHING,
    ("DELETE", "/v1/baskets/{basket_id}/items/{item_id}"): Shows.NOTHING,
    ("GET", "/v1/topics"): Shows.NOTHING,
    ("POST", "/v1/topics"): Shows.NOTHING,
    ("GET", "/v1/topics/matches"): Shows.HEADS,
    ("GET", "/v1/topics/{topic_id}"): Shows.NOTHING,
    ("PATCH", "/v1/topics/{topic_id}"): Shows.NOTHING,
    ("DELETE", "/v1/topics/{topic_id}"): Shows.NOTHING,
    ("GET", "/media/v/content/feed"): Shows.HEADS,
    ("GET", "/media/v/content/ondemand"): Shows.HEADS,
    ("GET", "/media/v/content/rss"): Shows.NOTHING,
    ("GET", "/media/v/content/rss/{rss_id}"): Shows.HEADS,
    ("GET", "/media/v/account"): Shows.NOTHING,
    ("GET", "/media/v/account/followedtopics"): Shows.NOTHING,
    ("GET", "/media/v/account/plans"): Shows.NOTHING,
    ("GET", "/media/v/account/quotas"): Shows.NOTHING,
    ("GET", "/media/v/account/downloads"): Shows.NOTHING,
    ("GET", "/content/feed"): Shows.HEADS,
    ("GET", STREAM): Shows.HEADS,
    **dict.fromkeys(
        (
            ("POST", f"{_MONITORS}/create"),
            ("POST", f"{_MONITORS}/{{monitorId}}/update"),
            ("DELETE", f"{_MONITORS}/{{monitorId}}/delete"),
            *(("GET", f"{_MONITORS}{end}") for end in ("", "/{monitorId}", "/alerts", "/sessions")),
            ("GET", f"{_MONITORS}/sessions/{{session_id}}"),
            *(("GET", f"{_MONITORS}/sessions/{{session_id}}/{way}") for way in _SWITCHES),
        ),
        Shows.NOTHING,
    ),
    **dict.fromkeys(
        (
            *(("GET", path) for path in ("/v1/models", "/v1/models/{model}", "/info")),
            *(("POST", f"/v1/{name}") for name in ("embeddings", "rerank", "tag", "embed")),
            *(("POST", f"/v2/{name}") for name in ("rerank", "embed")),
            *(("POST", path) for path in ("/", "/embed", "/rerank", "/predict")),
            *(("POST", path) for path in ("/tokenize", "/decode")),
        ),
        Shows.NOTHING,
    ),
    ("GET", "/v1/account"): Shows.NOTHING,
    ("GET", "/v1/account/downloads"): Shows.NOTHING,
    **dict.fromkeys(
        (
            *(("GET", f"/v1/admin/{name}") for name in ("accounts", "entitlements")),
            *(("GET", f"/v1/admin/{name}") for name in ("usage", "audit")),
            *((method, "/v1/admin/entitlements/{number}") for method in ("PUT", "DELETE")),
            *((method, "/v1/admin/keys/{key}") for method in ("PATCH", "DELETE")),
            ("POST", "/v1/admin/keys/{key}/rotate"),
            *((method, "/v1/admin/jobs/{job_id}") for method in ("PUT", "GET", "DELETE")),
            ("POST", "/v1/admin/accounts"),
            ("GET", "/v1/admin/accounts/{account}"),
            ("POST", "/v1/admin/accounts/{account}/plans"),
            ("DELETE", "/v1/admin/accounts/{account}/plans/{plan}"),
            ("POST", "/v1/admin/accounts/{account}/keys"),
            ("PUT", "/v1/admin/accounts/{account}/quotas/{method}"),
            ("DELETE", "/v1/admin/accounts/{account}/quotas/{method}"),
        ),
        Shows.NOTHING,
    ),
    **dict.fromkeys(
        (
            ("GET", "/v1/webhooks"),
            ("POST", "/v1/webhooks"),
            ("GET", "/v1/webhooks/{webhook_id}"),
            ("PATCH", "/v1/webhooks/{webhook_id}"),
            ("DELETE", "/v1/webhooks/{webhook_id}"),
            ("POST", "/v1/webhooks/{webhook_id}/secret"),
            ("POST", "/v1/webhooks/{webhook_id}/test"),
            ("GET", "/v1/webhooks/{webhook_id}/dead"),
            ("POST", "/v1/webhooks/{webhook_id}/replay"),
        ),
        Shows.NOTHING,
    ),
    ("GET", "/healthz"): Shows.NOTHING,
    ("GET", "/readyz"): Shows.NOTHING,
    ("GET", "/metrics"): Shows.NOTHING,
}
WRITES: frozenset[Operation] = frozenset(
    {("POST", "/content"), ("PATCH", "/content/{item_id}/status")}
)  # a history's own steps, whose answers are looked at too
OUTSIDE: frozenset[Operation] = frozenset(
    {
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/page/config"),
        ("GET", "/page/{name}"),
    }
)  # of the OpenAPI document; all show nothing

# A command that opens the archive: what it may print, and how it is asked. It speaks to the
# operator of the machine, who has every product. A name in braces stands for one of a history.
COMMANDS: dict[str, tuple[Shows, Sequence[str]]] = {
    "search": (Shows.HEADS, ("search", "{word}", "--json", "--explain", "--facet", "place,person")),
    "suggest": (Shows.HEADS, ("suggest", "{start}")),
    "understand": (Shows.HEADS, ("understand", "{name}", "--json")),
    "status": (Shows.NOTHING, ("status", "--json")),
    "doctor": (Shows.NOTHING, ("doctor",)),
    "jobs list": (Shows.NOTHING, ("jobs", "list", "--json")),
    "jobs failed": (Shows.NOTHING, ("jobs", "failed", "--json")),
    "captions status": (Shows.NOTHING, ("captions", "status", "--json")),
    "embed": (Shows.NOTHING, ("embed", "--json")),
}
# Commands that no history asks, and why not.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        ("ingest", "live", "worker", "jobs fix", "jobs replay", "jobs show"),
        "writes, and names what it was given itself",
    ),
    "set-status": "a step of a history",
    "clock": "shows and confirms the time, and reads no item",
    **dict.fromkeys(
        ("backup", "restore", "rebuild", "migrate"),
        "moves the archive as a whole, for whoever may read its files anyway",
    ),
    **dict.fromkeys(
        ("jobs drop", "jobs pause", "jobs resume", "jobs cancel", "jobs prune", "captions release"),
        "changes what is ordered of files, and reads no item",
    ),
    **dict.fromkeys(
        ("captions submit", "captions collect"), "speaks to a provider, under rules of its own"
    ),
    **dict.fromkeys(
        (
            *("accounts create", "accounts list", "accounts show", "accounts usage"),
            *(f"accounts plan {what}" for what in ("add", "remove")),
            *(f"accounts entitlement {what}" for what in ("put", "list", "remove")),
            *(f"accounts key {what}" for what in ("create", "rotate", "expire", "revoke", "list")),
            *("accounts quota set", "accounts quota clear"),
        ),
        "speaks of accounts, and reads no item",
    ),
    **dict.fromkeys(
        tuple(
            f"experiment {what}"
            for what in ("versions", "start", "status", "stop", "promote", "rollback")
        ),
        "speaks of profiles and of counted clicks, and reads no item",
    ),
    **dict.fromkeys(
        ("use status", "use erase", "use export", "use drift"),
        "the log is off by default; tests/dateline/commands/test_use.py looks at its exports",
    ),
    "transcript": "asks the guard, and a history's documents have no speech;"
    " tests/dateline/commands/test_transcript.py looks at what is killed and under embargo",
    **dict.fromkeys(
        ("audit show", "audit verify"),
        "names uris of what was killed, to whoever may read the archive's files anyway",
    ),
    **dict.fromkeys(("shots", "settings", "serve"), "reads no archive, or is asked over HTTP"),
}
# Groups of commands that know judged sets, models or indexes, never an archive's items.
APART: tuple[str, ...] = ("eval", "tune", "models", "index", "migration", "capacity")


# --- how parameters are filled in

_FIELDS = ("subject", "place", "person", "organisation", "rights")
_MEDIA = ("renditions", "shots", "machine_caption", *MEDIA_WORDS)
_MEMBERS = ("headline", "body_text", "associations", *_MEDIA)
_PATHS = ("*", "subject.name", "renditions.main", "associations.inside0.headline")
_RENDITIONS = ("thumbnail", "preview", "original", "shot-1", "shot-2", "shot-9")


def _query(scene: Scene) -> str:
    word = scene.word()
    kinds = (
        "",
        "common",
        word,
        f"common {word}",
        f'"body of {word}"',
        f"common NOT {word}",
        f"place:{word}",
        f"{word[:6]}*",
        f"{word[:5]}{word[6:]}",  # misspelt
        f"Ana {word}",
        "front page",
        "common since 2024",
        scene.uri(),
    )
    return scene.rng.choice(kinds)


def _named(scene: Scene) -> list[str]:
    word = scene.word()
    return [scene.rng.choice(("Coast", "Valley", word, f"port {word}", f"Ana {word}"))]


def _some(values: Sequence[str]) -> Callable[[Scene], list[str]]:
    return lambda scene: scene.rng.sample(values, scene.rng.randint(1, min(3, len(values))))


def _one(*values: Any) -> Callable[[Scene], Any]:
    return lambda scene: scene.rng.choice(values)


FILLERS: dict[str, Callable[[Scene], Any]] = {
    "q": _query,
    "type": _some(("text", "picture", "video")),
    **dict.fromkeys(_FIELDS, _named),
    "person": lambda scene: [f"Ana {scene.word()}"],
    "language": _one(["en"], ["de", "en"]),
    **dict.fromkeys(("source", "credit"), _one(["AP"], ["agency"])),
    "orientation": _some(("landscape", "portrait", "square")),
    "size": _some(("small", "medium", "large")),
    "similar_to": lambda scene: scene.uri(),
    "why_missing": lambda scene: scene.uri(),
    "tz": _one("", "Europe/Berlin"),
    "since": _one("2024-01-01", "2024-03-01T13:00:00Z"),
    "until": _one("2024-12-31", "2024-03-01T14:00:00Z"),
    "page": _one(1, 1, 2),
    "page_size": _one(1, 2, 20, 200),
    "cursor": lambda scene: scene.cursor(),
    "facets": lambda scene: list(FACET_FIELDS),
    "open_facets": _some(FACET_FIELDS),
    "facet_limit": _one(1, 200),
    "limit": _one(1, 50),
    "profile": _one("", "lexical", "vector", "hybrid", "hybrid-rrf"),
    "ignore": lambda scene: [scene.word()],
    "locale": _one("", "en-US"),
    "include": _some((*_MEMBERS, *_PATHS)),
    "exclude": _some((*_MEMBERS, *_PATHS[1:])),
    "session_label": _one("guard"),
    "webhook_id": _one("1", "none"),
    "price": _one("", "0"),
    "currency": _one("", "USD"),
    "session": _one(""),
    "position": _one(""),
    "begin": _one("start", "start", "now", "2024-03-01T13:00:00Z"),
    "wait": _one(0),
    "item_id": lambda scene: scene.uri(),
    "basket_id": _one("none"),  # `looks` reads those that it made
    "consumer_id": _one("guard"),
    "queue": _one("default"),
    "topic_id": _one("1", "2", "3", "4"),
    "rss_id": _one(*(str(TOPICS_FROM + number) for number in (1, 2, 3, 4))),
    "after": _one(0),
    "rendition": _one(*_RENDITIONS),
    **dict.fromkeys(("from", "to"), _one(1, 1, 2, 3)),
    "form": _one("nitf", "newsmlg2", "plain"),
    "model": _one("all-MiniLM-L6-v2"),
    "job_id": _one("nightly"),
    "products": _one(["wire"]),
    "sort": _one(*SortOrder),
    "qt": lambda scene: scene.cursor(),
    **dict.fromkeys(("account", "key", "action"), _one("gazette", "kill")),
    **dict.fromkeys(("plan", "number", "order"), _one(1, 31991)),
    **dict.fromkeys(("first", "last", "min_date", "max_date"), _one("2024-03-01")),
    "item": lambda scene: scene.uri(),
    "view": _one("", "wire"),
    "rid": _one("main", "preview", "thumbnail", "nitf"),
    "format": _one("json", "nitf", "newsmlg2", "text", "csv", "ninjs", "ninjs-1.4", "ninjs-3.1"),
    "seq": _one("0"),
    "with_monitor": _one("guard"),
    **dict.fromkeys(("monitorId", "agentid", "session_id", "webhook_id"), _one("guard")),
}
# Headers that a route reads beside the key, which no document lists, and how each is filled in.
HEADERS: dict[Operation, Mapping[str, Callable[[Scene], str]]] = {
    ("GET", "/v1/media/{rendition}/{item_id}"): {
        "range": _one("bytes=0-", "bytes=4-", "bytes=-14", "bytes=0-5", "bytes=900-", "bytes=0-,1-")
    },
    ("POST", "/content"): {"content-type": _one(JSON_LINES)},
    ("GET", "/media/v/content/search"): {"if-none-match": _one('"other"')},
    ("GET", "/media/v/content/{item_id}"): {"if-none-match": _one('"other"')},
}
ALWAYS = frozenset(
    {
        *("q", "item_id", "rendition", "form", "webhook_id", "topic_id", "rss_id"),
        "basket_id",
        "from",
        *(
            "account",
            "plan",
            "key",
            "number",
            "method",
            "monitorId",
            "session_id",
            "model",
            "job_id",
        ),
    }
)
OFTEN = frozenset({"facets", "explain", "fold", "profile", "similar_to", "why_missing", "cursor"})
_MONITOR = {
    "monitor": {
        "name": "guard",
        "notify": [{"channelType": "email", "channelDestinations": ["desk@guard.example"]}],
        "conditions": [{"type": "quality"}],
    }
}
BODIES: dict[Operation, Callable[[Scene], Any]] = {
    ("POST", "/content/search"): lambda scene: {"text": f"{scene.word()} common {scene.word()}"},
    ("POST", "/v1/embeddings"): lambda scene: {"input": [scene.word()]},
    **dict.fromkeys((("POST", "/"), ("POST", "/embed")), lambda scene: {"inputs": scene.word()}),
    ("POST", "/rerank"): lambda scene: {"query": scene.word(), "texts": [scene.uri()]},
    ("POST", "/predict"): lambda scene: {"inputs": [[scene.word(), scene.uri()]]},
    ("POST", "/tokenize"): lambda scene: {"inputs": "common"},
    ("POST", "/decode"): lambda scene: {"ids": [101, 102]},
    **dict.fromkeys(
        (("POST", "/v1/embed"), ("POST", "/v2/embed")), lambda scene: {"texts": ["common"]}
    ),
    ("POST", "/v2/rerank"): lambda scene: {"query": scene.word(), "documents": [scene.uri()]},
    # A topic's query is told to its account later, so it has no word of an item.
    ("POST", "/v1/ondemand"): lambda scene: {"account": "agency", "items": [scene.uri()]},
    ("POST", "/v1/baskets"): lambda scene: {"name": "guard"},
    ("PATCH", "/v1/baskets/{basket_id}"): lambda scene: {"shared": True},
    ("POST", "/v1/topics"): lambda scene: {"name": "guard", "query": "common"},
    ("POST", "/v1/events"): lambda scene: {
        "action_name": "click",
        "query_id": "guard",
        "event_attributes": {"object": {"object_id": scene.uri()}},
    },
    ("PATCH", "/v1/topics/{topic_id}"): lambda scene: {"query": "common NOT rare"},
    ("POST", f"{_MONITORS}/create"): lambda scene: _MONITOR,
    ("POST", f"{_MONITORS}/{{monitorId}}/update"): lambda scene: _MONITOR,
    ("POST", "/v1/rerank"): lambda scene: {"query": scene.word(), "documents": [scene.uri()]},
    ("POST", "/v1/tag"): lambda scene: {"texts": [f"Ana {scene.word()}"]},
    ("POST", "/v1/webhooks"): lambda scene: {"url": "https://127.0.0.1/", "q": scene.word()},
    ("PATCH", "/v1/webhooks/{webhook_id}"): lambda scene: {"q": scene.word()},
    ("PUT", "/v1/admin/jobs/{job_id}"): lambda scene: {"kind": "ingest", "paths": [scene.uri()]},
    ("POST", "/v1/webhooks/{webhook_id}/secret"): lambda scene: {},
    ("POST", "/v1/webhooks/{webhook_id}/replay"): lambda scene: {},
}


def headers_of(scene: Scene, operation: Operation) -> dict[str, str]:
    """Some of the headers that the operation reads."""
    fillers = HEADERS.get(operation, {})
    return {name: fill(scene) for name, fill in fillers.items() if scene.rng.random() < 0.5}


class Contract:
    """The OpenAPI document of a running service."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self.operations: dict[Operation, Mapping[str, Any]] = {
            (method.upper(), path): operation
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }

    def parameters(self, operation: Operation) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.operations[operation].get("parameters", ())
        return found

    def in_query(self, path: str) -> list[str]:
        """The names of the query parameters of GET `path`."""
        return [one["name"] for one in self.parameters(("GET", path)) if one["in"] == "query"]

    def without_filler(self) -> set[str]:
        """The names of parameters that have no filler."""
        return {
            parameter["name"]
            for operation in self.operations
            for parameter in self.parameters(operation)
            if parameter["name"] not in FILLERS and not self._choices(parameter)
        }

    def ask(self, scene: Scene, operation: Operation, only: str = "") -> Ask:
        """A request with some parameters of the operation, or with `only` this one."""
        method, path = operation
        params: dict[str, Any] = {}
        for parameter in self.parameters(operation):
            name = parameter["name"]
            chance = float(name == only) if only else 0.25 if name in OFTEN else 0.08
            if name in ALWAYS or scene.rng.random() < chance:
                value = self._filled(scene, parameter)
                if parameter["in"] == "path":
                    path = path.replace(f"{{{name}}}", str(value))
                else:
                    params[name] = value
        if "similar_to" in params and scene.rng.random() < 0.8:  # else it is refused
            params = {name: value for name, value in params.items() if name not in ("q", "sort")}
        body = BODIES.get(operation)
        headers = headers_of(scene, operation)
        return Ask(method, path, ROUTES[operation], params, body and body(scene), headers)

    def _filled(self, scene: Scene, parameter: Mapping[str, Any]) -> Any:
        filler = FILLERS.get(parameter["name"])
        return filler(scene) if filler else scene.rng.choice(self._choices(parameter))

    def _choices(self, parameter: Mapping[str, Any]) -> Sequence[Any]:
        schema = parameter["schema"]
        if reference := schema.get("$ref"):
            schema = self._schemas[reference.rpartition("/")[2]]
        if schema.get("type") == "boolean":
            return ("true", "false")
        choices: Sequence[Any] = schema.get("enum", ())
        return choices


def missing(found: Collection[Any], listed: Collection[Any]) -> tuple[set[Any], set[Any]]:
    """Differences: what was `found` but is not `listed`, and what is `listed` but was not found."""
    return set(found) - set(listed), set(listed) - set(found)
