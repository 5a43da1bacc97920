"""Events of S3 in the forms in which a queue gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InputError
from core.work import FoundAsset
from indexing.work.sources.s3_events import NewObject, found_in, new_objects


def record(key: str, name: str = "ObjectCreated:Put", size: int = 7) -> dict[str, Any]:
    part = {
        "bucket": {"name": "photos"},
        "object": {"key": key, "size": size, "eTag": "abc", "sequencer": "0055"},
    }
    return {"eventSource": "aws:s3", "eventName": name, "s3": part}


class NoFiles:
    """A store that has no file beside another one."""

    def walk(self, url: str) -> Any:
        raise AssertionError("nothing is listed")

    def read(self, url: str, most: int) -> bytes:
        raise FileNotFoundError(url)


def test_s3_tells_keys_encoded() -> None:
    body = json.dumps({"Records": [record("wire/a+b%C3%A4.jpg"), record("x.jpg", "ObjectRemoved")]})
    assert new_objects(body) == (NewObject("s3://photos/wire/a bä.jpg", 7, "abc"),)


def test_sns_puts_the_event_into_a_text() -> None:
    body = {"Type": "Notification", "Message": json.dumps({"Records": [record("a.jpg")]})}
    assert [new.address for new in new_objects(body)] == ["s3://photos/a.jpg"]


def test_eventbridge_tells_keys_as_they_are() -> None:
    detail = {"bucket": {"name": "photos"}, "object": {"key": "a+b.jpg", "size": 9, "etag": "q"}}
    body = {"detail-type": "Object Created", "source": "aws.s3", "detail": detail}
    assert new_objects(body) == (NewObject("s3://photos/a+b.jpg", 9, "q"),)
    assert new_objects({**body, "detail-type": "Object Deleted"}) == ()


def test_the_test_event_tells_nothing() -> None:
    assert new_objects({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}) == ()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"Records": [{}]}',
        (
            '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "a/b"}, '
            '"object": {"key": "x"}}}]}'
        ),
        '{"Message": "no json"}',
    ],
)
def test_what_is_no_event_is_refused(body: str) -> None:
    with pytest.raises(InputError):
        new_objects(body)


def test_only_media_are_found_with_the_stamp_of_a_listing() -> None:
    body = {"Records": [record("a.jpg"), record("a.json"), record("notes.txt")]}
    (found,) = found_in(body, ("news",), NoFiles())
    assert found == FoundAsset("s3://photos/a.jpg", "7:abc", 7, None, ("news",))
