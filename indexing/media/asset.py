"""A media file before it is an item: its place, and what was computed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.items import Shot
from core.media import Caption, MediaFacts


@dataclass(frozen=True, slots=True)
class Asset:
    """A media file to be made findable.

    `location` is its path or a store's URL, `digest` the sha256 of its bytes in hex and `size`
    their number. `sidecar` has what is said of it elsewhere, as members of ninjs: a document beside
    it, a document that names it, or a manifest's row; None without any. `products` are those that
    it is for besides its own.
    """

    location: str
    digest: str
    size: int
    sidecar: Mapping[str, Any] | None = None
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrichment:
    """The computed data of an asset.

    `shots` are in order, with the stills' names in the media store and without descriptions, empty
    in a picture. `captions` has one entry per shot, or one for a picture: None without a machine's
    caption. `thumbnail` and `preview` name the whole asset's stills, `similarity` is its perceptual
    hash in hex (PDQ). `notes` say what could not be done, for a person to read.
    """

    facts: MediaFacts
    shots: tuple[Shot, ...] = ()
    captions: tuple[Caption | None, ...] = field(default=())
    thumbnail: str = ""
    preview: str = ""
    similarity: str = ""
    notes: tuple[str, ...] = ()
