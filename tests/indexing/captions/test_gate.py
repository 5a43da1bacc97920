"""What never reaches a provider, looked for in every byte that the provider got."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from core.media import Caption, Uncaptioned
from indexing.captions.rights import MOST_BYTES, RIGHTS, jpeg_size
from tests.caption_provider import CaptionServer
from tests.indexing.captions.world import EDGE, captioner, jpeg, still


def noise(seed: int) -> bytes:
    """A JPEG that is like no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def traces_of(data: bytes) -> list[bytes]:
    """A picture's bytes in every form in which they could lie in a request."""
    middle = data[len(data) // 2 :]  # what comes before is alike in all JPEGs
    texts = [base64.b64encode(middle[skipped:]) for skipped in range(3)]
    return [middle[:48], *(text[8:72] for text in texts)]


def test_a_forbidden_asset_never_leaves() -> None:
    secret = "Embargoed words of the agency"
    with CaptionServer() as server, captioner(server) as made:
        good = still(jpeg=noise(1))
        bad = still(jpeg=noise(2), context=secret, may_leave=False)
        found = made.caption([good, bad, good, bad])
        assert [type(one) for one in found] == [Caption, Uncaptioned, Caption, Uncaptioned]
        assert found[1] == Uncaptioned(RIGHTS, again=False)
        assert len(server.asked()) == 2
        received = server.received()
        assert any(trace in received for trace in traces_of(good.jpeg))  # the search finds what is
        assert not any(trace in received for trace in traces_of(bad.jpeg))
        assert secret.encode() not in received


def test_nothing_but_forbidden_assets_makes_no_request_at_all() -> None:
    with CaptionServer() as server, captioner(server) as made:
        found = made.caption([still(may_leave=False)] * 5)
        assert found == (Uncaptioned(RIGHTS, again=False),) * 5
        assert server.requests == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (jpeg(size=(EDGE + 1, 10)), "769x10"),
        (jpeg(size=(10, 4000)), "10x4000"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no JPEG"),
        (b"", "no JPEG"),
        (b"\xff\xd8\xff", "no JPEG"),
        (jpeg() + bytes(MOST_BYTES), "bytes"),
    ],
)
def test_what_was_not_scaled_is_not_sent(data: bytes, said: str) -> None:
    with CaptionServer() as server, captioner(server) as made:
        (found,) = made.caption([still(jpeg=data)])
        assert isinstance(found, Uncaptioned)
        assert said in found.reason
        assert not found.again
        assert server.requests == []


def test_the_largest_that_may_leave_arrives_as_it_was() -> None:
    data = jpeg(size=(EDGE, EDGE))
    with CaptionServer() as server, captioner(server) as made:
        (found,) = made.caption([still(jpeg=data)])
        assert isinstance(found, Caption)
        (seen,) = server.asked()
        url = seen.json["messages"][1]["content"][1]["image_url"]["url"]
        assert base64.b64decode(url.partition(",")[2]) == data


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.booleans(),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.binary(max_size=300),
)
@example(1, 1, True, "L", b"\xff\xc0" * 40)
def test_a_size_is_read_without_decoding(
    width: int, height: int, progressive: bool, mode: str, comment: bytes
) -> None:
    stream = io.BytesIO()
    image = Image.new(mode, (width, height))
    image.save(stream, "JPEG", progressive=progressive, comment=comment)
    assert jpeg_size(stream.getvalue()) == (width, height)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_look_at_a_size(data: bytes) -> None:
    for found in (jpeg_size(data), jpeg_size(b"\xff\xd8" + data)):
        assert found is None or min(found) > 0
