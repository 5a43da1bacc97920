"""A queue of SQS, by a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import boto3
import pytest

from core.errors import InputError, UnavailableError
from indexing.work.sources.s3_events import new_objects
from indexing.work.sources.sqs import EventQueue
from tests.s3_server import bucket, put


@pytest.fixture
def queue() -> Iterator[str]:
    """The URL of a queue that a bucket tells of its new objects."""
    with bucket("photos"):
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="news", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        names = ["QueueArn"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
        told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
        boto3.client("s3").put_bucket_notification_configuration(
            Bucket="photos", NotificationConfiguration={"QueueConfigurations": [told]}
        )
        yield url
        with suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=url)  # the server's next start would find it


def test_what_a_bucket_tells_is_read_and_removed(queue: str) -> None:
    put("photos", "wire/a b.jpg", b"1234567")
    events = EventQueue(queue, poll_s=1)
    told, messages = [], []
    while not told:
        messages = events.messages()
        told = [new for message in messages for new in new_objects(message.body)]
    assert [(new.address, new.size) for new in told] == [("s3://photos/wire/a b.jpg", 7)]
    again = events.messages()  # it was not removed
    assert told[0] in [new for message in again for new in new_objects(message.body)]
    events.done(again)
    left = [new for message in events.messages() for new in new_objects(message.body)]
    assert left == []
    events.close()


@pytest.mark.timed
def test_messages_are_hidden_as_long_as_they_are_held(queue: str) -> None:
    """Longer than the queue hides them, so that a slow reader's are not done twice."""
    boto3.client("sqs").set_queue_attributes(
        QueueUrl=queue, Attributes={"VisibilityTimeout": "3", "RedrivePolicy": ""}
    )
    put("photos", "a.jpg", b"1234567")
    events, other = EventQueue(queue, poll_s=2), EventQueue(queue, poll_s=6)
    assert not events.terms.has_dead_letters
    messages = events.messages()
    with events.held(messages):
        assert other.messages() == []  # which waits for 6 s
    assert {again.body for again in other.messages()} == {one.body for one in messages}
    events.close()
    other.close()


def test_a_queue_that_is_gone_says_so(queue: str) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=queue)
    events = EventQueue(queue, poll_s=1)
    with pytest.raises(UnavailableError):
        events.messages()
    events.close()


def test_what_is_no_queue_is_refused() -> None:
    for url in ("news", "s3://bucket/x", "https://sqs.us-east-1.amazonaws.com"):
        with pytest.raises(InputError):
            EventQueue(url)
