"""Settings of an archive on OpenSearch, and of moving there."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ClusterSettings(BaseModel):
    """Settings of an archive on OpenSearch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    opensearch_ef_search: int = Field(
        default=400, ge=8, le=4000, description="OpenSearch: width of a search in a vector graph"
    )
    opensearch_search_timeout_s: float = Field(
        default=3.0,
        gt=0,
        le=600,
        description="OpenSearch: time in s after which a shard answers with what it has",
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
        default=512,
        ge=1,
        le=2**16,
        description="OpenSearch: memory for vectors of candidates, of each field, in MiB",
    )
    opensearch_guard_mb: int = Field(
        default=60,
        ge=1,
        le=2**16,
        description="OpenSearch: memory for what callers may see of candidates, in MiB",
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
        description="number of live queries whose words are kept in the archive's folder, to "
        "compare an index with the next one; 0 keeps none",
    )
