"""Events of S3: which objects a bucket has anew, told by S3, through SNS or by EventBridge.

An event may come twice and out of order; a file belongs to a job once, so that does no harm. A
sidecar must be put before its file, because only the file's event starts work.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson

from core.errors import InputError
from indexing.work.sources.listing import Found, Store, is_media, look_in_store

_CREATED = "ObjectCreated:"
_MOST_OBJECTS = 1_000  # in one event


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object: its address (s3://bucket/key), its size in bytes and its ETag ("" if not told)."""

    address: str
    size: int
    etag: str

    @property
    def stamp(self) -> str:
        """The stamp that a listing of the bucket gives it."""
        return f"{self.size}:{self.etag}" if self.etag else ""


def new_objects(body: str | bytes | Mapping[str, Any]) -> tuple[NewObject, ...]:
    """Return the objects that an event says were put, in order; none for S3's own test event and
    for events of other kinds. Raises InputError for what is no event.
    """
    try:
        tree = orjson.loads(body) if isinstance(body, str | bytes) else body
        if isinstance(tree.get("Message"), str):  # SNS puts the event into a text
            tree = orjson.loads(tree["Message"])
        found = tuple(_told(tree))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"that is no event of S3 ({type(error).__name__})",
            mend="send s3:ObjectCreated:* of a bucket to the queue, and nothing else",
        ) from error
    if len(found) > _MOST_OBJECTS:
        raise InputError(f"an event names at most {_MOST_OBJECTS:,} objects")
    return found


def found_in(
    body: str | bytes | Mapping[str, Any], products: Sequence[str], store: Store
) -> list[Found]:
    """Return the photos and videos that an event tells of, with their sidecars. Raises InputError
    for what is no event.
    """
    return [
        look_in_store(new.address, products, store, stamp=new.stamp, size=new.size)
        for new in new_objects(body)
        if is_media(new.address)
    ]


def _told(tree: Mapping[str, Any]) -> Iterator[NewObject]:
    if tree.get("Event") == "s3:TestEvent":
        return
    if "detail-type" in tree:  # EventBridge, whose keys are not encoded
        if tree["detail-type"] == "Object Created":
            detail = tree["detail"]
            yield _object(detail["bucket"]["name"], detail["object"]["key"], detail["object"])
        return
    for record in tree["Records"]:
        if str(record["eventName"]).removeprefix("s3:").startswith(_CREATED):
            part = record["s3"]
            key = unquote_plus(part["object"]["key"])
            yield _object(part["bucket"]["name"], key, part["object"])


def _object(bucket: str, key: str, told: Mapping[str, Any]) -> NewObject:
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise ValueError("no bucket or key")
    if "/" in bucket:
        raise ValueError("no bucket")
    etag = str(told.get("eTag") or told.get("etag") or "")
    return NewObject(f"s3://{bucket}/{key}", int(told.get("size") or 0), etag.strip('"'))
