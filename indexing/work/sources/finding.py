"""Which assets does a request name? Those under its paths and in its manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.media import is_url
from core.work import FoundAsset
from indexing.work.request import Request
from indexing.work.sources import manifests
from indexing.work.sources.listing import Found, Store, in_folder, in_store


def find(request: Request, store: Store) -> Iterator[Found]:
    """Yield the media under the request's paths and in its manifests, as far as its share goes.

    An unreadable row of a manifest or sidecar is Rejected; the rest goes on.
    """
    for path in request.paths:
        found = (
            in_store(path, request.products, store)
            if is_url(path)
            else in_folder(Path(path), request.products)
        )
        yield from (entry for entry in found if _is_ours(entry, request))
    for path in request.manifests:
        entries = manifests.rows(path, request.products, store)
        yield from (entry for entry in entries if _is_ours(entry, request))


def _is_ours(entry: Found, request: Request) -> bool:
    place = entry.location if isinstance(entry, FoundAsset) else f"{entry.file}:{entry.line}"
    return request.shard.has(place)
