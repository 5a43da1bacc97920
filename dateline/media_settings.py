"""Settings of pictures and videos: shots, captions, stores, and the work of an ingest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# Orders of a queue that a process carries out at the same time.
WORK_CHUNKS = {
    "read": 2,
    "decode": 3,
    "shots": 2,
    "describe": 1,
    "transcribe": 1,
    "look": 1,
    "read_text": 1,
    "embed": 1,
    "apply": 1,
    "operate": 1,
}


class MediaSettings(BaseModel):
    """Settings of how pictures and videos are found, described and kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shots: str = Field(
        default="transnetv2-int8",
        description="model that finds the shots of a video; empty for none",
    )
    looks: str = Field(
        default="efficientnet-lite0",
        description="model that looks at pictures and at the stills of shots, if it was pulled; "
        "service for one at an address; empty for none",
    )
    looks_url: str = Field(
        default="", description="address of the service that looks, before /embeddings"
    )
    looks_model: str = Field(default="", description="the service's model that looks")
    looks_dimension: int = Field(
        default=1024, ge=8, le=8192, description="numbers in a vector of the service's model"
    )
    looks_key: SecretStr | None = Field(default=None, description="key to the service that looks")
    looks_seconds: float = Field(
        default=60.0, ge=1, le=600, description="longest wait for the service that looks"
    )
    shot_stride: int = Field(
        default=50,
        ge=1,
        le=80,
        description="frames between the model's windows of 100 at a live source: fewer tell its "
        "shots sooner and put more frames to the model (100 / stride for each)",
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
        description="what describes pictures: openai for a provider that speaks its protocol, "
        "bedrock for a model on Amazon Bedrock, the name of a pulled model, or empty for nothing",
    )
    caption_url: str = Field(
        default="",
        description="address of the captions' provider; OpenAI's, or Bedrock's of the region, if "
        "empty",
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
    transcriber: str = Field(
        default="whisper-base",
        description="what writes down the speech of videos and sounds: the name of a model, which "
        "is used if it was pulled, openai for a service that speaks its protocol, or empty for "
        "nothing",
    )
    transcribe_url: str = Field(
        default="", description="address of the service that transcribes; OpenAI's if empty"
    )
    transcribe_model: str = Field(default="", description="the service's model that transcribes")
    transcribe_key: SecretStr | None = Field(
        default=None, description="key to the service that transcribes"
    )
    transcribe_seconds: float = Field(
        default=300.0,
        ge=1,
        le=3600,
        description="longest wait for the words of one piece of sound, which lasts five minutes",
    )
    text_reader: str = Field(
        default="PP-OCRv6-small-rec",
        description="model that reads the text in pictures and shots, used if it was pulled; empty "
        "for none",
    )
    text_finder: str = Field(
        default="PP-OCRv6-small-det",
        description="model that finds the lines of text for the one that reads them",
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
    media_unsealed: bool = Field(
        default=False,
        description="read photos and videos although this machine offers less protection from a "
        "hostile file than is needed; `dateline doctor` says what it offers",
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
        default=32, ge=2, le=10**5, description="chunks that an ingest may be ahead of its work"
    )
    work_chunks: Mapping[str, int] = Field(
        default_factory=lambda: dict(WORK_CHUNKS),
        description="orders that a process carries out at the same time, by queue (a table; JSON "
        "in a variable)",
    )
    work_batch: Mapping[str, int] = Field(
        default_factory=dict,
        description="what goes through a model at once, by queue: windows of 100 frames in shots "
        "(a file's has 300), pictures in describe, items in embed (a table; JSON in a variable)",
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
    spot: bool = Field(
        default=False,
        description="end work in progress and stop when the EC2 instance gets the warning that it "
        "will be taken away in two minutes",
    )
    work_poll_s: float = Field(
        default=0.2, ge=0.01, le=60, description="how often a worker looks for orders, in s"
    )
