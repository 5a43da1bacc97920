"""Settings: a line in dateline.toml, an environment variable, a flag; the later of these wins."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from errno import EFBIG
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from core.customers.accounts import Quota
from core.errors import SettingsError
from core.limits import Share
from dateline.cluster_settings import ClusterSettings
from dateline.default_folders import default_models, default_pulled
from dateline.media_settings import MediaSettings
from dateline.server_settings import ServerSettings


class ModelSettings(BaseModel):
    """Settings of the models."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Path = Field(default_factory=default_models, description="folder of the models")
    pulled_models: Path = Field(
        default_factory=default_pulled, description="folder of the models that were pulled"
    )
    encoder: str = Field(default="all-MiniLM-L6-v2", description="model that embeds texts")
    second_encoder: str = Field(
        default="bge-small-en-v1.5",
        description="model that embeds texts once more, for the profile best; empty for none; if "
        "it is not named, a machine that is too slow for it has none",
    )
    tagger: str = Field(
        default="distilbert-ner-news", description="model that finds names; empty for none"
    )
    reranker: str = Field(
        default="bge-small-en-v1.5",
        description="model that reranks: an encoder for late interaction, or a cross-encoder",
    )
    runtimes: Mapping[str, str] = Field(
        default_factory=dict,
        description="runtime by model, such as openvino:bf16 (a table; JSON in a variable)",
    )
    remote_key: SecretStr | None = Field(
        default=None, description="key to the services that `runtimes` names"
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where models compute")
    batch_tokens: int = Field(
        default=512, ge=16, le=2**20, description="tokens that go through a model at once"
    )
    batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="how long a batch waits to be full, in ms"
    )
    batch_waiting_tokens: int = Field(
        default=2**18, ge=1024, description="tokens that may wait for a model; more are refused"
    )
    threads: int = Field(default=2, ge=1, le=256, description="threads for models and builds")


PREFIX = "DATELINE_"
TWO_ENCODERS, ONE_ENCODER = "best", "hybrid"  # the profiles by default
FILE = "dateline.toml"
LEDGER = "ledger.sqlite"  # there too: what models computed, and lags of live sources
SPENT = "spend.sqlite"  # there too: what captions cost
ORDERS = "work.sqlite"  # in the archive's folder: the orders of photos and videos


class KeySetting(BaseModel):
    """One API key: its owner's name, the key itself or its sha256 in hex, and its rights.

    `write` lists the product codes that it may write, with "*" every item; true means those that it
    reads. Only keys of this name may write uris that begin with one of `reserves`. A key that may
    `administer` changes accounts and reads the audit log.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    key: SecretStr | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    products: tuple[str, ...] = ()
    write: bool | tuple[str, ...] = False
    reserves: tuple[str, ...] = ()
    inspect: bool = False
    models: bool = False
    administer: bool = False
    rate: float | None = Field(default=None, gt=0, le=1e6)
    concurrency: int | None = Field(default=None, ge=1, le=100_000)


QuotaMethod = Literal[
    "content", "search", "feed", "account", "plans", "downloads", "quotas", "other"
]  # methods of AP Media API, as core.customers.accounts.Method


class QuotaSetting(BaseModel):
    """The most requests of a method: at once and in a minute, and in a day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minute: int = Field(default=Quota().minute, ge=1, le=10**9)
    day: int = Field(default=Quota().day, ge=1, le=10**9)


def _by_commas(value: object) -> object:
    """Return the parts of a text between commas; any other value unchanged."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


ByCommas = BeforeValidator(_by_commas)  # a list that a variable gives by commas, not as JSON
Product = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048)]


class Settings(ServerSettings, MediaSettings, ClusterSettings, ModelSettings):
    """Everything that can be set. `dateline settings` prints what is in force and why."""

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
    default_products: Annotated[tuple[Product, ...], ByCommas] = Field(
        default=(),
        description="products of items that belong to no other (by commas in a variable); if empty "
        "nobody finds such items",
    )
    profile: str = Field(
        default=TWO_ENCODERS,
        description="ranking profile where none is asked for; without a second encoder the default "
        "is hybrid",
    )
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
        description="a word gets a spelling if at most this many stories hold it; -1 suggests none",
    )
    floor: Path | None = Field(
        default=None,
        description="file that `dateline tune floor` wrote, which says what a strong hit is; the "
        "one that ships if not named",
    )
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
    rerank_deadline_ms: float = Field(
        default=1000.0,
        ge=50,
        le=60_000,
        description="milliseconds that a search has, from its start, in a reranking profile",
    )
    otel: bool = Field(
        default=False,
        description="send traces, logs and metrics by OTLP, as OpenTelemetry's variables say",
    )
    otel_queries: bool = Field(
        default=False,
        description="let traces and logs have texts of callers: queries, paths and what unforeseen "
        "errors say",
    )
    searches: int = Field(
        default=0,
        ge=0,
        le=256,
        description="searches at the same time; 0: one for each processor, 2 to 4, and 4 on "
        "OpenSearch",
    )
    search_in: Literal["", "processes", "threads"] = Field(
        default="",
        description="where a service searches: in processes of their own, one for each search at "
        "the same time, or in threads of the one that reads requests, for less memory; if empty "
        "in processes, but for the demo",
    )
    waiting: int = Field(default=32, ge=0, le=4096, description="searches that may wait")
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1024, description="largest request body, in bytes"
    )
    hnsw_m: int = Field(default=32, ge=4, le=128, description="HNSW: links per node")
    hnsw_ef_construction: int = Field(default=200, ge=8, le=2000, description="HNSW: build width")
    hnsw_ef_search: int = Field(default=300, ge=8, le=4000, description="HNSW: search width")
    hnsw_exact_rows: int = Field(
        default=10_000,
        ge=0,
        le=10**9,
        description="HNSW: segments of at most this many rows are scanned, with no loss",
    )
    hnsw_implementation: Literal["faiss", "hnswlib", "faiss-gpu", "faiss-ivf"] = Field(
        default="faiss",
        description="HNSW: library of new segments (hnswlib, faiss-gpu: extras [hnswlib], [gpu]); "
        "faiss-ivf has inverted lists in place of a graph, for millions of passages",
    )
    hnsw_precision: Literal["fp32", "fp16", "int8", "pq", "binary"] = Field(
        default="fp32", description="HNSW: precision of the vectors in new segments' graphs"
    )
    recall_checks: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of served searches whose nearest vectors are compared with the exact "
        "scan in the background, by a fiftieth of a processor at most; 0 for none",
    )
    keys: tuple[KeySetting, ...] = Field(default=(), description="API keys (JSON in a variable)")
    key_rate: float = Field(
        default=Share().rate, gt=0, le=1e6, description="requests a second of a key without `rate`"
    )
    key_concurrency: int = Field(
        default=Share().concurrency,
        ge=1,
        le=100_000,
        description="requests at the same time, in one process, of a key without `concurrency`",
    )
    account_quotas: Mapping[QuotaMethod, QuotaSetting] = Field(
        default={},
        description="most requests of an account, by method of AP Media API (JSON in a variable): "
        '{"search": {"minute": 600, "day": 200000}}, which is also the default of each',
    )
    use_log_accounts: Annotated[tuple[str, ...], ByCommas] = Field(
        default=(),
        description="accounts that agreed that their searches and clicks are kept, by commas in a "
        "variable; * for all; none by default, and then nothing is kept",
    )
    use_log_days: int = Field(
        default=90, ge=1, le=730, description="days after which a kept search is deleted"
    )
    use_log_callers: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="accounts that must ask the same before the words of their query are kept; "
        "until then only a keyed hash is",
    )
    demo: bool = Field(default=False, description="have the demo's keys, on loopback")

    @model_validator(mode="before")
    @classmethod
    def _fit_the_encoders(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with defaults that fit the named encoders: the second encoder by
        default goes with the first by default where both compute here, and the profile best needs
        two.
        """
        first, second = (cls.model_fields[name].default for name in ("encoder", "second_encoder"))
        found = dict(values)
        runtimes = found.get("runtimes")
        named: Mapping[str, object] = runtimes if isinstance(runtimes, Mapping) else {}
        elsewhere = [str(named.get(name, "")).startswith("remote") for name in (first, second)]
        if found.get("encoder", first) != first or found.get("next_encoder") or any(elsewhere):
            found.setdefault("second_encoder", "")
        if found.get("second_encoder") == "":
            found.setdefault("profile", ONE_ENCODER)
        return found

    def with_one_encoder(self) -> Settings:
        """Return the settings without the second encoder, and without the profile that needs it."""
        profile = ONE_ENCODER if self.profile == TWO_ENCODERS else self.profile
        return self.model_copy(update={"second_encoder": "", "profile": profile})

    def as_bytes(self) -> bytes:
        """Return the settings for `Settings.of_bytes` in another process of this machine, secrets
        included.
        """
        return orjson.dumps(self.model_dump(), default=_revealed)

    @classmethod
    def of_bytes(cls, data: bytes) -> Settings:
        """Return the settings that `as_bytes` wrote."""
        return cls.model_validate(orjson.loads(data))

    @property
    def has_archive(self) -> bool:
        """Return whether there is a record of truth. One on Postgres counts: it is made at the
        first use.
        """
        try:
            return bool(self.record.get_secret_value()) or (self.data / "record.sqlite3").exists()
        except PermissionError:
            return True  # opening it says why it can't be read

    @property
    def has_orders(self) -> bool:
        """Return whether photos or videos may have been ordered. Orders may come before the record
        of truth; a database that a setting names counts.
        """
        return self.has_archive or self.work_url is not None or (self.data / ORDERS).exists()

    def with_archive_in(self, folder: Path) -> Settings:
        """Return the same settings for another archive: its record is in `folder`, and its index
        has another name.
        """
        digest = sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        own = {"data": folder, "opensearch_index": f"{self.opensearch_index}-{digest}"}
        return self.model_copy(update={**own, "record": SecretStr("")})

    @property
    def on_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _revealed(value: Any) -> str:
    """Return a setting that JSON has no form for; secrets as text, as they stay on this machine."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value))


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
    """Read dateline.toml in `folder` (the working directory) or `file` instead, the environment and
    `flags`.

    Raises SettingsError for an unknown name or a value that does not fit, with its origin, and for
    a `file` that does not exist.
    """
    if file is not None and not file.is_file():
        raise SettingsError("there is no such file", where=str(file), mend="name a dateline.toml")
    path = file or (folder or Path()) / FILE
    named = {name: value for name, value in read_toml(path)[1].items() if name not in _GONE}
    environment, variables = _from_environment()
    layers: list[tuple[str, Mapping[str, object]]] = [
        (str(path), named),
        ("environment", environment),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    ]
    values: dict[str, object] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in layers:
        for name, value in layer.items():
            values[name] = value
            origins[name] = variables[name] if origin == "environment" else origin
    try:
        return Configured(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _mistake(error, origins) from error


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text, with its own line ends, and its values; both empty without a file.
    Raises SettingsError.
    """
    try:
        text = path.read_bytes().decode("utf-8") if path.is_file() else ""
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(
            f"can't be read: {error}", where=str(path), mend='lines are TOML: data = "folder"'
        ) from error


def _from_environment() -> tuple[dict[str, object], dict[str, str]]:
    """Return the values of the DATELINE_ variables and the variable of each; lists and tables are
    JSON. A variable DATELINE_X_FILE names the file that holds the value of DATELINE_X. An unknown
    variable is an error: a typo must not silently leave a default in force.
    """
    found: dict[str, object] = {}
    variables: dict[str, str] = {}
    for variable, given in os.environ.items():
        name, text = variable.removeprefix(PREFIX).lower(), given
        if not variable.startswith(PREFIX) or name in _GONE | _NOT_SETTINGS:
            continue
        setting = name.removesuffix(_IN_FILE)
        if name != setting and setting in Settings.model_fields:
            name, text = setting, _text_of(Path(given), variable)
        if name in found:
            raise SettingsError(
                "the setting has a value and a file", where=variable, mend="leave one of them out"
            )
        found[name] = _of_json(text, variable) if name in _JSON else text
        variables[name] = variable
    return found, variables


def _text_of(file: Path, variable: str) -> str:
    """Return a file's text without the line's end that editors add. Raises SettingsError with the
    variable's name alone: somebody may have given the secret itself as the file's name.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_BYTES + 1)
        if len(data) > _FILE_BYTES:
            raise OSError(EFBIG, os.strerror(EFBIG))
        return data.decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"the setting's file can't be read: {why}",
            where=variable,
            mend="name a file that this user may read and that holds the value alone",
        ) from None


def _of_json(text: str, variable: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SettingsError(
            f"is not JSON: {error}", where=variable, mend="quote it for the shell"
        ) from error


_IN_FILE = "_file"  # ends the name of a variable that names the setting's file
_FILE_BYTES = 1 << 20
_JSON = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if get_origin(field.annotation) in (tuple, Mapping) and ByCommas not in field.metadata
)  # settings that a variable gives as JSON
_NOT_SETTINGS = frozenset({"shared"})  # tests find judged sets by it
# Settings of a removed command; `make dev-cluster` reads them as variables.
_GONE = frozenset({"dev_cluster_cache", "dev_cluster_folder"})


def _mistake(error: ValidationError, origins: Mapping[str, str]) -> SettingsError:
    name, says, kind = first_fault(error)
    top = name.partition(".")[0]
    where = origins.get(top, "environment or file")
    if kind == "extra_forbidden":
        return SettingsError(f"there is no setting {name!r}", where=where, mend=_known_like(top))
    return SettingsError(
        f"{name}: {says}", where=where, mend="write another value, or none for the default"
    )


def first_fault(error: ValidationError) -> tuple[str, str, str]:
    """Return the first fault: the setting's name with dots, what is wrong, and pydantic's kind. The
    value may be a secret and is never in it.
    """
    first = error.errors(include_input=False, include_url=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"], first["type"]


def _known_like(name: str) -> str:
    """Return the settings with nearly this name, else all."""
    near = get_close_matches(name, Settings.model_fields)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"settings are {', '.join(Settings.model_fields)}"
