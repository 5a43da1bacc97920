"""How a process is connected to the cluster: requests, and this program's own errors in the place
of the client's.
"""

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

# What the client warns of is raised here, and a missing document is no mishap.
logging.getLogger("opensearch").setLevel(logging.ERROR)
_BUSY = frozenset({413, 429, 502, 503, 504})  # 413: what asks in parts then asks in smaller ones
_QUOTED = " Preview of field's value"  # and then a document's words, which are no log's affair
# What a node says of another one that is gone, or of a copy that it does not have.
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
_ANSWERED_IN = "500ms"  # by a node that another one asks whether it is there
_NO_NODE_MEND = "see that opensearch_url names nodes, and no proxy or page answers for them"
_UNREAD = "-responses.pit_id,-responses.hits.hits._index,-responses.hits.hits._score"
_SCHEMES = frozenset({"http", "https"})
Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where the cluster is, who asks, and how long it is waited for."""

    urls: tuple[str, ...] = ("http://127.0.0.1:9200",)
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    nodes: NodeSettings = field(default_factory=NodeSettings)
    bulk_timeout_s: float = 60.0


class MissingError(StorageError):
    """An index, a snapshot of one, or a document is not there (any more)."""


class BlockedError(StorageError):
    """Somebody has set an index so that it takes no writes."""


class StaleError(StorageError):
    """Another process has changed the same document meanwhile."""


class Cluster:
    """Requests to one cluster, by any number of threads."""

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
        """The reply to a request; `params` are those of the address, `timeout_s` is for this one's
        answer. Raises MissingError (404), StaleError (409), BusyError (429; AwayError and SlowError
        where no answer comes), StorageFullError, SettingsError (401, 403) and StorageError, never
        with a password or a document in it.
        """
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        wait_s = timeout_s or self.settings.nodes.timeout_s
        try:
            reply = self._nodes.send(method, path, params, content, wait_s)
        except client.exceptions.TransportError as error:
            raise self._explained(error, path) from error
        try:
            found: Reply = orjson.loads(reply)
        except ValueError as error:
            what = "what answers is no OpenSearch node: the reply is no JSON"
            where = f"{self.where}, {path.partition('?')[0][:200]}"
            raise StorageError(what, where=where, mend=_NO_NODE_MEND) from error
        return found

    def search_many(self, bodies: Sequence[Mapping[str, Any]], **header: object) -> list[Reply]:
        """The replies to searches that are sent together, in order; each may be an error of its
        own (`error`, `status`). `header` is of all of them.
        """
        if not bodies:
            return []
        lines = [part for body in bodies for part in (header, body)]
        content = ndjson(lines)
        replies = self.ask("POST", "/_msearch", content, typed_keys="false", filter_path=_UNREAD)
        found: list[Reply] = replies["responses"]
        for reply in found:
            if "error" not in reply:  # a filter takes an empty list away
                reply.setdefault("hits", {}).setdefault("hits", [])
        return found

    def hanging(self) -> tuple[int, str]:
        """How many nodes of the cluster do not answer, and the others as a search's preference.
        Raises as `ask`.
        """
        self._nodes.look_around()
        found = self.ask("GET", "/_nodes/http", timeout=_ANSWERED_IN)
        nodes = ",".join(sorted(found["nodes"]))
        return int(found["_nodes"]["failed"]), f"_prefer_nodes:{nodes}"

    def close(self) -> None:
        """Ends every connection."""
        self._client.close()

    def _explained(self, error: Any, path: str) -> DatelineError:
        where = f"{self.where}, {path.partition('?')[0][:200]}"
        return error_of(error.status_code, error.info, where)


def error_of(status: int, info: Any, where: str) -> DatelineError:
    """What a status and the error beside it mean."""
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
    """Whether an error tells that a node is gone which had a copy."""
    what = reason_of(info)
    return any(sign in what for sign in _LOST)


def reason_of(info: Any) -> str:
    """An error's own words, short: of the first cause, where there is one."""
    error = info.get("error", info) if isinstance(info, dict) else info
    if not isinstance(error, dict):
        return str(error)[:300]
    causes = error.get("root_cause") or [error]
    deepest = error.get("caused_by") or causes[0]
    reason = str(deepest.get("reason", "")).partition(" Preview of field's value")[
        0
    ]  # a document's
    return f"{deepest.get('type', '')}: {reason}"[:300]


def ndjson(lines: Sequence[Any]) -> bytes:
    """One line of JSON for each; bytes are lines already."""
    parts = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    return b"\n".join((*parts, b""))


def _place(url: str) -> str:
    """Host and port, without user and password. Raises SettingsError for what is no such URL."""
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
