"""The line between parent and child: what is no message, or can't be true, is not believed."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.media.cage import answers as cage_answers
from indexing.media.cage.wire import (
    MAGIC,
    HungUpError,
    Message,
    SilenceError,
    WireError,
    receive,
    send,
)


def listen_on(line: socket.socket) -> None:
    while True:
        cage_answers.understand(receive(line, 5.0))


@given(st.binary(max_size=200))
def test_noise_on_the_line_is_an_error_of_the_line(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.close()
        with pytest.raises((WireError, HungUpError, SilenceError)):
            listen_on(ours)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
        ),
        max_leaves=9,
    ),
    st.sampled_from(["ready", "refused", "facts", "frames", "gap", "still", "done", "fetch"]),
    st.binary(max_size=64),
)
def test_heads_of_any_kind_are_understood_or_refused(tree: object, say: str, body: bytes) -> None:
    head = {**(tree if isinstance(tree, dict) else {"x": tree}), "say": say}
    with pytest.raises(WireError):
        cage_answers.understand(Message(head, body))


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"count": 3}, b""),
        ({"first": 5}, b""),
        ({}, struct.pack("<2d", 1.0, 0.5)),
        ({}, struct.pack("<2d", 0.0, float("nan"))),
        ({}, struct.pack("<2d", -1.0, 0.5)),
        ({}, struct.pack("<2d", 0.0, 1e300)),
    ],
)
def test_frames_that_can_t_be_are_not_believed(change: dict[str, int], body: bytes) -> None:
    times = body or struct.pack("<2d", 0.0, 0.04)
    head = {"say": "frames", "first": 0, "count": 2, **change}
    answer = cage_answers.understand(Message(head))
    assert isinstance(answer, cage_answers.FramesAnswer)
    with pytest.raises(WireError):
        cage_answers.frames(answer, times + bytes(2 * 27 * 48 * 3), 0)


def test_messages_pass_whole_with_their_handle(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"inside")
    ours, theirs = socket.socketpair()
    with ours, theirs, path.open("rb") as stream:
        body = bytes(range(256)) * 40
        send(ours, Message({"do": "x" * 3000}, body, stream.fileno()))
        message = receive(theirs, 5.0, handles=1)
        assert (message.head, message.body) == ({"do": "x" * 3000}, body)
        assert message.handle is not None
        with os.fdopen(message.handle, "rb") as passed:
            assert passed.read() == b"inside"
        ours.sendall(MAGIC[:2])
        with pytest.raises(SilenceError):
            receive(theirs, 0.1)
