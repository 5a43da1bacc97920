"""Settings of the models: names, folders, runtimes and batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from dateline.default_folders import default_models, default_pulled


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
