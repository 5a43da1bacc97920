"""Sends requests to the cluster, and turns the client's errors into our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import opensearchpy as client
import orjson

from core.errors import BusyError, DatelineError, SettingsError, StorageError, StorageFullError
from storage.opensearch.nodes.nodes import Nodes, NodeSettings, pool_options

# Errors are raised here, so the client need not warn of them; a missing document is not an error.
logging.getLogger("opensearch").setLevel(logging.ERROR)
_BUSY = frozenset({413, 429, 502, 503, 504})  # 413: a bulk write then sends smaller requests
_QUOTED = " Preview of field's value"  # a document's words follow, which no log may hold
# Errors of a node about another node that is gone, or about a copy that it does not have.
_LOST = (
    "node_disconnected_exception",
    "node_not_connected_exception",
    "node_closed_exception",
    "connect_transport_exception",
    "receive_timeout_transport_exception",
    "no_shard_available_action_exception",
    "no node found for id",
)
_FULL = (
    "flood-stage",
    "disk usage exceeded",
    "read-only / allow delete",
    "index_create_block_exception",
)
_ANSWERED_IN = "500ms"  # the time for nodes to tell each other that they are there
_NO_NODE_MEND = "see that opensearch_url names nodes, and no proxy or page answers for them"
_UNREAD = "-responses.pit_id,-responses.hits.hits._index,-responses.hits.hits._score"
_SCHEMES = frozenset({"http", "https"})
Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The cluster's nodes, the user and password, and how long to wait for answers."""

    urls: tuple[str, ...] = ("http://127.0.0.1:9200",)
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    nodes: NodeSettings = field(default_factory=NodeSettings)
    bulk_timeout_s: float = 60.0


class MissingError(StorageError):
    """An index, a point in time or a document does not exist (any more)."""


class BlockedError(StorageError):
    """Somebody has blocked writes to an index."""


class StaleError(StorageError):
    """Another process has changed the same document meanwhile."""


class Cluster:
    """Sends requests to one cluster. Thread-safe."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.where = "opensearch at " + ", ".join(_place(url) for url in settings.urls)
        self._client = client.OpenSearch(
            hosts=list(settings.urls),
            http_auth=(settings.user, settings.password) if settings.user else None,
            ca_certs=settings.ca_file or None,
            **pool_options(settings.nodes),
        )
        self._nodes = Nodes(self._client.transport, settings.nodes, self.where)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout_s: float | None = None,
        **params: object,
    ) -> Reply:
        """Return the reply to a request; `params` are query parameters, `timeout_s` is the time for
        this answer. Raises MissingError (404), StaleError (409), BusyError (429; AwayError and
        SlowError if no answer comes), StorageFullError, SettingsError (401, 403) and StorageError,
        never with a password or a document in it.
        """
        content = body if body is None or isinstance(body, bytes) else _json(body)
        wait_s = timeout_s or self.settings.nodes.timeout_s
        try:
            reply = self._nodes.send(method, path, params, content, wait_s)
        except client.exceptions.TransportError as error:
            raise self._explained(error, path) from error
        try:
            found: Reply = orjson.loads(reply)
        except ValueError as error:
            what = "the server is not an OpenSearch node: its reply is not JSON"
            where = f"{self.where}, {path.partition('?')[0][:200]}"
            raise StorageError(what, where=where, mend=_NO_NODE_MEND) from error
        return found

    def search_many(self, bodies: Sequence[Mapping[str, Any]], **header: object) -> list[Reply]:
        """Send searches in one request; return their replies in order. Some replies may be errors
        (`error`, `status`). `header` is for all searches.
        """
        if not bodies:
            return []
        lines = [part for body in bodies for part in (header, body)]
        content = ndjson(lines)
        replies = self.ask("POST", "/_msearch", content, typed_keys="false", filter_path=_UNREAD)
        found: list[Reply] = replies["responses"]
        for reply in found:
            if "error" not in reply:  # `filter_path` removes an empty list
                reply.setdefault("hits", {}).setdefault("hits", [])
        return found

    def hanging(self) -> tuple[int, str]:
        """Return how many nodes of the cluster do not answer, and the others as a search's
        preference. Raises as `ask`.
        """
        self._nodes.look_around()
        found = self.ask("GET", "/_nodes/http", timeout=_ANSWERED_IN)
        nodes = ",".join(sorted(found["nodes"]))
        return int(found["_nodes"]["failed"]), f"_prefer_nodes:{nodes}"

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _explained(self, error: Any, path: str) -> DatelineError:
        where = f"{self.where}, {path.partition('?')[0][:200]}"
        return error_of(error.status_code, error.info, where)


def error_of(status: int, info: Any, where: str) -> DatelineError:
    """Return our own error for a status and the client's error `info`."""
    what = reason_of(info)
    if any(sign in what for sign in _FULL):
        return StorageFullError(
            "the cluster has no space left for writes", where=where, mend="free some, or add nodes"
        )
    if status == 403 and "cluster_block" in what:
        return BlockedError(
            f"the index takes no writes: {what}", where=where, mend="lift the block"
        )
    if status in (401, 403):
        return SettingsError(
            f"the cluster refuses: {what}", where=where, mend="check user, password and rights"
        )
    if status == 404:
        return MissingError(what, where=where, mend="`dateline index check` looks after it")
    if status == 409:
        return StaleError(what, where=where, mend="try again: another process was faster")
    if status in _BUSY or is_of_lost_node(info):
        return BusyError(f"the cluster has too much to do: {what}", where=where, mend="try again")
    what = f"the cluster answered {status}: {what}"
    return StorageError(what, where=where, mend="see the nodes' logs, and `dateline index check`")


NO_INDEX = "index_not_found_exception"  # an error's type


def is_of_lost_node(info: Any) -> bool:
    """Return whether an error says that a node with a copy of a shard is gone."""
    what = reason_of(info)
    return any(sign in what for sign in _LOST)


def reason_of(info: Any) -> str:
    """Return the type and reason of an error's deepest known cause, at most 300 characters."""
    error = info.get("error", info) if isinstance(info, dict) else info
    if not isinstance(error, dict):
        return str(error)[:300]
    causes = error.get("root_cause") or [error]
    deepest = error.get("caused_by") or causes[0]
    reason = str(deepest.get("reason", "")).partition(_QUOTED)[0]  # without the document's words
    return f"{deepest.get('type', '')}: {reason}"[:300]


def ndjson(lines: Sequence[Any]) -> bytes:
    """Return one line of JSON for each value; bytes are lines already."""
    parts = [line if isinstance(line, bytes) else _json(line) for line in lines]
    return b"\n".join((*parts, b""))


def _json(value: Any) -> bytes:
    """Return `value` as JSON; its arrays must be contiguous."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _place(url: str) -> str:
    """Return host and port of a URL. Raises SettingsError for another kind of URL, or one with a
    user.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _SCHEMES or parts.username is not None:
        raise SettingsError(
            "not the URL of an OpenSearch node",
            where="opensearch_url",
            mend="write http://host:9200, several by commas; user and password are settings",
        )
    return f"{host}:{port}" if port else host
