"""Settings: a line in dateline.toml, an environment variable, a flag, in rising order of weight."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from core.errors import SettingsError

PREFIX = "DATELINE_"
# Orders of a queue that a process carries out at the same time.
WORK_CHUNKS = {"read": 2, "decode": 3, "shots": 2, "describe": 1, "embed": 1, "apply": 1}
FILE = "dateline.toml"
_CHECKOUT = Path(__file__).resolve().parent.parent
_INSTALLED = Path(sys.prefix) / "share" / "dateline"


def bundled(in_checkout: str, installed: str) -> Path:
    """A folder that ships with the program: in a checkout beside the packages, else where an
    install puts data.
    """
    path = _CHECKOUT / in_checkout
    return path if path.is_dir() else _INSTALLED / installed


def default_models() -> Path:
    """The bundled models."""
    return bundled("models", "models")


def default_pulled() -> Path:
    """Where this user's programs keep data: pulled models serve any archive."""
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "dateline" / "models"


def default_dev_cache() -> Path:
    """Where this user's programs keep what can be fetched again; for root where others read too,
    since OpenSearch does not run as root.
    """
    return _of_user("XDG_CACHE_HOME", ".cache", "/var/cache")


def default_dev_folder() -> Path:
    """Where this user's programs keep their state; for root as `default_dev_cache`."""
    return _of_user("XDG_STATE_HOME", ".local/state", "/var/lib") / "dev-cluster"


def _of_user(variable: str, below_home: str, of_root: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named / "dateline"
    return (Path(of_root) if os.getuid() == 0 else Path.home() / below_home) / "dateline"


def demo_folder() -> Path:
    """The demo corpus and the page's examples."""
    return bundled("datasets/demo", "demo")


class KeySetting(BaseModel):
    """One API key: its owner's name, the key itself or its sha256 in hex, and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    key: SecretStr | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    products: tuple[str, ...] = ()
    write: bool = False
    inspect: bool = False


class Settings(BaseModel):
    """Everything that can be set. `dateline settings` prints what is in force and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path = Field(default=Path("data"), description="folder of the archive")
    record: SecretStr = Field(
        default=SecretStr(""),
        description="database of the record of truth for services and workers on many hosts, "
        "postgresql://... (needs the extra [postgres]); a file in the archive's folder if empty",
    )
    engine: Literal["embedded", "opensearch"] = Field(
        default="embedded",
        description="what searches run on: indexes in the archive's folder, or an OpenSearch "
        "cluster (needs the extra [opensearch])",
    )
    opensearch_url: str = Field(
        default="http://127.0.0.1:9200", description="OpenSearch: URLs of nodes, by commas"
    )
    opensearch_index: str = Field(
        default="dateline",
        pattern="^[a-z0-9][a-z0-9_.-]{0,99}$",
        description="OpenSearch: name of the archive's index, an alias",
    )
    opensearch_user: str = Field(default="", description="OpenSearch: user; none if empty")
    opensearch_password: SecretStr = Field(
        default=SecretStr(""), description="OpenSearch: the user's password"
    )
    opensearch_ca: str = Field(
        default="", description="OpenSearch: file of the certificates that are trusted"
    )
    opensearch_shards: int = Field(
        default=1, ge=1, le=1024, description="OpenSearch: shards of a new index"
    )
    opensearch_replicas: int = Field(
        default=1, ge=0, le=10, description="OpenSearch: copies of each shard of a new index"
    )
    opensearch_library: Literal["lucene", "faiss"] = Field(
        default="lucene",
        description="OpenSearch: library of the vector graphs (faiss: native, on each node)",
    )
    opensearch_precision: Literal["fp32", "fp16", "int8"] = Field(
        default="fp32",
        description="OpenSearch: precision of the graphs' vectors; lucene has fp32 and int8, faiss "
        "fp32 and fp16",
    )
    opensearch_refresh_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="OpenSearch: how often new documents become searchable that no search has "
        "waited for, in s",
    )
    opensearch_patience_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="OpenSearch: how long a search waits for what was just recorded, in s",
    )
    opensearch_connect_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="OpenSearch: longest wait for a node to say that it is there, in s",
    )
    opensearch_timeout_s: float = Field(
        default=5.0, gt=0, le=600, description="OpenSearch: longest wait for an answer, in s"
    )
    opensearch_search_timeout_s: float = Field(
        default=3.0,
        gt=0,
        le=600,
        description="OpenSearch: after so long a shard answers with what it has, in s",
    )
    opensearch_bulk_timeout_s: float = Field(
        default=60.0, gt=0, le=600, description="OpenSearch: longest wait for a bulk write, in s"
    )
    opensearch_retries: int = Field(
        default=2, ge=0, le=10, description="OpenSearch: other nodes that a request is tried on"
    )
    opensearch_passed_over_s: float = Field(
        default=5.0,
        ge=0.1,
        le=600,
        description="OpenSearch: how long a node is passed over that did not answer, in s",
    )
    opensearch_pool: int = Field(
        default=16, ge=1, le=256, description="OpenSearch: connections kept to each node"
    )
    opensearch_failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="OpenSearch: requests in a row that no node takes, before there is a pause",
    )
    opensearch_pause_s: float = Field(
        default=2.0, ge=0.1, le=600, description="OpenSearch: how long that pause is, in s"
    )
    opensearch_vector_mb: int = Field(
        default=128,
        ge=1,
        le=2**16,
        description="OpenSearch: memory for vectors of candidates, of each field, in MiB",
    )
    host: str = Field(default="127.0.0.1", description="address to serve on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to serve on")
    models: Path = Field(default_factory=default_models, description="folder of the models")
    pulled_models: Path = Field(
        default_factory=default_pulled, description="folder of the models that were pulled"
    )
    encoder: str = Field(default="all-MiniLM-L6-v2", description="model that embeds texts")
    second_encoder: str = Field(
        default="",
        description="model that embeds texts once more, for the profile best; empty for none",
    )
    next_encoder: str = Field(
        default="",
        description="model that an archive on OpenSearch moves to, see `dateline migration`: texts "
        "are embedded by both, and searches follow the index; empty for none",
    )
    migration_coverage: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of the visible items that an index has to cover before it is served",
    )
    migration_loss: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="how much nDCG@10 of a judged set may fall by a migration",
    )
    sampled_queries: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="words of so many live queries are kept in the archive's folder, to compare an "
        "index with the next one; 0 keeps none",
    )
    tagger: str = Field(
        default="distilbert-ner-news", description="model that finds names; empty for none"
    )
    reranker: str = Field(
        default="bge-small-en-v1.5",
        description="model that reranks: an encoder for late interaction, or a cross-encoder",
    )
    profile: str = Field(default="hybrid", description="ranking profile where none is asked for")
    lexical_weight: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="weight of BM25 in the hybrid profiles; the vectors have the rest of 1",
    )
    entity_boost: float = Field(
        default=0.05,
        ge=0,
        le=10,
        description="weight of known names beside the retrievers' 1; 0 only echoes them",
    )
    editorial: Path | None = Field(
        default=None, description="the editors' file of synonyms and pinned results; none if empty"
    )
    cursors: Literal["shared", "memory"] = Field(
        default="shared",
        description="where a service keeps the lists behind cursors: beside the record, where "
        "other services of this archive and a later one read them too, or in memory",
    )
    topics: Path | None = Field(
        default=None,
        description="file of subjects and their broader ones; IPTC Media Topics if not named, "
        "none if empty",
    )
    spelling_few: int = Field(
        default=3,
        ge=-1,
        le=1000,
        description="a word that at most so many stories hold may get a spelling; -1 suggests none",
    )
    runtimes: Mapping[str, str] = Field(
        default_factory=dict,
        description="runtime by model, such as openvino:bf16 (a table; JSON in a variable)",
    )
    remote_key: SecretStr | None = Field(
        default=None, description="key to the services that `runtimes` names"
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where models compute")
    rerank_candidates: int = Field(
        default=20, ge=20, le=100, description="how many of the best a reranking profile scores"
    )
    rerank_weight: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="weight of the rerank score in a reranking profile; 0 does not rerank",
    )
    rerank_tokens: int = Field(
        default=128,
        ge=0,
        le=8192,
        description="most tokens read of a pair (by late interaction: of a text); 0 for all",
    )
    batch_tokens: int = Field(
        default=512, ge=16, le=2**20, description="tokens that go through a model at once"
    )
    batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="how long a batch waits to be full, in ms"
    )
    batch_waiting_tokens: int = Field(
        default=2**18, ge=1024, description="tokens that may wait for a model; more are refused"
    )
    shots: str = Field(
        default="transnetv2-int8",
        description="model that finds the shots of a video; empty for none",
    )
    shot_stride: int = Field(
        default=50,
        ge=1,
        le=80,
        description="frames between the model's windows of 100: fewer tell a live source's shots "
        "sooner and put more frames to the model (100 / stride for each)",
    )
    shot_ahead: int = Field(
        default=20,
        ge=0,
        le=25,
        description="frames that the model sees after those that it tells of; fewer tell a live "
        "source's shots sooner, and long transitions less surely",
    )
    captioner: str = Field(
        default="",
        description="what describes pictures: openai for a provider that speaks its protocol, the "
        "name of a pulled model, or empty for nothing",
    )
    caption_url: str = Field(
        default="", description="address of the captions' provider; OpenAI's if empty"
    )
    caption_model: str = Field(default="", description="the provider's model that describes")
    caption_key: SecretStr | None = Field(default=None, description="key to the captions' provider")
    caption_rpm: int = Field(
        default=0, ge=0, le=10**7, description="requests a minute to the provider, 0 for any number"
    )
    caption_tpm: int = Field(
        default=0, ge=0, le=10**10, description="tokens a minute to the provider, 0 for any number"
    )
    caption_daily_spend: float | None = Field(
        default=None,
        ge=0,
        le=10**9,
        description="most that captions may cost a day (UTC), in the currency of the prices; "
        "no cap if not set",
    )
    caption_price_in: float = Field(
        default=0.0, ge=0, le=10**6, description="price of a million tokens that are sent"
    )
    caption_price_out: float = Field(
        default=0.0, ge=0, le=10**6, description="price of a million tokens that are answered"
    )
    caption_price_batch: float = Field(
        default=0.5, ge=0, le=1, description="share of the prices that a batch costs"
    )
    caption_edge: int = Field(
        default=768, ge=64, le=4096, description="largest edge of a picture to describe, in pixels"
    )
    caption_seconds: float = Field(
        default=60.0, ge=1, le=3600, description="longest wait for one answer of the provider"
    )
    caption_at_once: int = Field(
        default=4, ge=1, le=64, description="questions to the provider at the same time"
    )
    caption_mode: Literal["calls", "batch"] = Field(
        default="calls",
        description="how a provider is asked: picture by picture during an ingest, or in batches, "
        "see `dateline captions`",
    )
    caption_batch: int = Field(
        default=1_000, ge=1, le=50_000, description="most pictures and shots in one batch"
    )
    external_processing: Literal["unless_forbidden", "only_allowed"] = Field(
        default="unless_forbidden",
        description="which pictures may go to a provider: all but those whose rights forbid it, or "
        "only those whose rights allow it",
    )
    caption_everything: bool = Field(
        default=False,
        description="describe pictures and shots that the agency describes itself, too",
    )
    media_store: str = Field(
        default="",
        description="where stills are kept: a store's URL such as s3://bucket/stills; the folder "
        "`media` of the archive if empty",
    )
    media_roots: str = Field(
        default="",
        description="folders and stores' URLs, by commas, from which originals are served besides "
        "those that were named to ingest",
    )
    originals: bool = Field(
        default=True, description="serve original pictures and videos to those who may see them"
    )
    media_secret: SecretStr | None = Field(
        default=None,
        description="signs addresses of pictures and videos: the same in all processes of a "
        "service; random at each start if not set",
    )
    media_max_bytes: int = Field(
        default=64 * 2**30, ge=2**20, description="largest photo or video to ingest, in bytes"
    )
    spool_bytes: int = Field(
        default=16 * 2**30,
        ge=2**20,
        description="most bytes of files from stores that are copied here at the same time",
    )
    decode_files: int = Field(
        default=2, ge=1, le=256, description="photos and videos decoded at the same time"
    )
    work_url: SecretStr | None = Field(
        default=None,
        description="database of orders and results for workers on many hosts, postgresql://...; "
        "files in the archive's folder if not set",
    )
    work_chunk: int = Field(
        default=32, ge=1, le=256, description="photos and videos in one order of an ingest"
    )
    work_ahead: int = Field(
        default=32, ge=2, le=10**5, description="orders that an ingest may be ahead of its work"
    )
    work_chunks: Mapping[str, int] = Field(
        default_factory=lambda: dict(WORK_CHUNKS),
        description="orders that a process carries out at the same time, by queue (a table; JSON "
        "in a variable)",
    )
    work_batch: Mapping[str, int] = Field(
        default_factory=dict,
        description="what goes through a model at once, by queue: windows of frames in shots, "
        "pictures in describe, items in embed (a table; JSON in a variable)",
    )
    models_apart: bool = Field(
        default=False,
        description="shots and embeddings have queues of their own, for workers on hosts with a "
        "GPU: dateline worker --queues models",
    )
    work_tries: int = Field(
        default=3, ge=1, le=100, description="tries of a photo or video before it is a dead letter"
    )
    work_retry_s: float = Field(
        default=2.0,
        ge=0,
        le=86400,
        description="pause before a second try, in s; each further one is twice as long",
    )
    work_poll_s: float = Field(
        default=0.2, ge=0.01, le=60, description="how often a worker looks for orders, in s"
    )
    dev_cluster_cache: Path = Field(
        default_factory=default_dev_cache,
        description="folder of the OpenSearch that `dateline dev-cluster` fetches",
    )
    dev_cluster_folder: Path = Field(
        default_factory=default_dev_folder,
        description="folder of the development cluster: data, logs, what runs",
    )
    otel: bool = Field(
        default=False, description="send traces by OpenTelemetry (needs the extra [otel])"
    )
    threads: int = Field(default=2, ge=1, le=256, description="threads for models and builds")
    searches: int = Field(default=4, ge=1, le=256, description="searches at the same time")
    waiting: int = Field(default=32, ge=0, le=4096, description="searches that may wait")
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1024, description="largest request body, in bytes"
    )
    hnsw_m: int = Field(default=16, ge=4, le=128, description="HNSW: links per node")
    hnsw_ef_construction: int = Field(default=200, ge=8, le=2000, description="HNSW: build width")
    hnsw_ef_search: int = Field(default=200, ge=8, le=4000, description="HNSW: search width")
    hnsw_exact_rows: int = Field(
        default=10_000,
        ge=0,
        le=10**9,
        description="HNSW: segments of so many rows or fewer are scanned, with no loss",
    )
    hnsw_implementation: Literal["faiss", "hnswlib"] = Field(
        default="faiss", description="HNSW: library of new segments (hnswlib: extra [hnswlib])"
    )
    hnsw_precision: Literal["fp32", "fp16", "int8", "pq", "binary"] = Field(
        default="fp32", description="HNSW: precision of the vectors in new segments' graphs"
    )
    keys: tuple[KeySetting, ...] = Field(default=(), description="API keys (JSON in a variable)")
    demo: bool = Field(default=False, description="hand the page the demo keys, on loopback")

    @property
    def has_archive(self) -> bool:
        """Whether there is a record of truth already; one on Postgres is made when it is asked."""
        return bool(self.record.get_secret_value()) or (self.data / "record.sqlite3").exists()

    def with_archive_in(self, folder: Path) -> Settings:
        """The same, but for an archive of its own with its record in `folder`, and an index that is
        named by it.
        """
        digest = sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        own = {"data": folder, "opensearch_index": f"{self.opensearch_index}-{digest}"}
        return self.model_copy(update={**own, "record": SecretStr("")})

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings in force and where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def configure(
    flags: Mapping[str, object] | None = None,
    folder: Path | None = None,
    file: Path | None = None,
) -> Configured:
    """Reads dateline.toml in `folder` (the working directory) or `file` in its place, the
    environment and `flags`.

    Raises SettingsError for an unknown name or a value that does not fit, with its origin, and for
    a `file` that is not there.
    """
    if file is not None and not file.is_file():
        raise SettingsError("there is no such file", where=str(file), mend="name a dateline.toml")
    path = file or (folder or Path()) / FILE
    layers: list[tuple[str, Mapping[str, object]]] = [
        (str(path), _from_file(path)),
        ("environment", _from_environment()),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    ]
    values: dict[str, object] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in layers:
        for name, value in layer.items():
            values[name] = value
            origins[name] = f"{PREFIX}{name.upper()}" if origin == "environment" else origin
    try:
        return Configured(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _mistake(error, origins) from error


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"can't be read: {error}", where=str(path)) from error


def _from_environment() -> dict[str, object]:
    """DATELINE_ variables; lists and tables are JSON. Unknown ones are errors: a typo must not
    silently leave a default in force.
    """
    found: dict[str, object] = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        value: object = text
        if name in _JSON:
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise SettingsError(f"is not JSON: {error}", where=variable) from error
        found[name] = value
    return found


_JSON = frozenset(
    {"keys", "runtimes", "work_batch", "work_chunks"}
)  # settings that a variable gives as JSON
_NOT_SETTINGS = frozenset({"DATELINE_SHARED"})


def _mistake(error: ValidationError, origins: Mapping[str, str]) -> SettingsError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    top = str(first["loc"][0]) if first["loc"] else ""
    known = ", ".join(Settings.model_fields)
    unknown = first["type"] == "extra_forbidden"
    return SettingsError(
        f"there is no setting {name!r}" if unknown else f"{name}: {first['msg']}",
        where=origins.get(top, "environment or file"),
        mend=f"settings are {known}" if unknown else "see `dateline settings`",
    )
