"""Live sources over TLS, whose certificates are checked, and streams that are encrypted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import MediaError
from core.media import FrameBatch
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from tests.certificates import own_authority
from tests.indexing.media.clips import Clip, write_clip
from tests.live_servers import FileServer, RtspServer
from tests.rtmp_server import RtmpServer

pytestmark = pytest.mark.timed

CLIP = Clip(count=100, options={"g": "25"})
KEY = bytes(range(16))


def seconds(reader: CagedReader, url: str) -> list[float]:
    """Times of the frames that come, until the source ends or breaks off."""
    found: list[float] = []
    flow = reader.live(LiveSource(url=url, silent_s=10.0))
    try:
        found.extend(
            second for item in flow if isinstance(item, FrameBatch) for second in item.seconds
        )
    except MediaError:
        if not found:
            raise
    return found


def hls(folder: Path, key: bytes = b"") -> dict[str, bytes]:
    """A playlist with its segments, by path; encrypted where there is a key."""
    folder.mkdir()
    muxer = {"hls_time": "1", "hls_list_size": "0"}
    if key:
        (folder / "key.bin").write_bytes(key)
        (folder / "key.info").write_text(f"key.bin\n{folder / 'key.bin'}\n")
        muxer["hls_key_info_file"] = str(folder / "key.info")
    write_clip(
        folder / "list.m3u8", Clip(count=100, options={"g": "25"}, format="hls", muxer=muxer)
    )
    return {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}


Opened = tuple[FileServer | RtspServer | RtmpServer, str]


def opened(scheme: str, folder: Path, context: object) -> Opened:
    """A server and the address to read."""
    if scheme == "https":
        server = FileServer(hls(folder / "hls"), context)  # type: ignore[arg-type]
        return server, f"{server.url}/list.m3u8"
    make: Callable[..., RtspServer | RtmpServer]
    make, name = (RtspServer, "clip.ts") if scheme == "rtsps" else (RtmpServer, "clip.flv")
    camera = make(write_clip(folder / name, CLIP), context=context)
    return camera, camera.url


@pytest.mark.parametrize("scheme", ["rtsps", "rtmps", "https"])
def test_a_source_over_tls_is_read_where_its_authority_is_known(
    scheme: str, reader: CagedReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = own_authority(tmp_path)
    server, url = opened(scheme, tmp_path, context)
    with server:
        assert url.startswith(f"{scheme}://")
        with pytest.raises(MediaError, match="certificate verify failed"):
            seconds(reader, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        found = seconds(reader, url)
    assert len(found) >= CLIP.count - 2  # RTSP hangs up over the last packet
    assert found == pytest.approx(CLIP.times()[: len(found)], abs=2e-3)


def test_a_server_that_is_not_the_one_named_is_not_spoken_to(
    reader: CagedReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority is known, the name is another."""
    authority, context = own_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server, url = opened("rtsps", tmp_path, context)
    with server, pytest.raises(MediaError, match="certificate verify failed"):
        seconds(reader, url.replace("127.0.0.1", "localhost"))


def test_an_encrypted_stream_is_refused_and_it_is_said(reader: CagedReader, tmp_path: Path) -> None:
    with FileServer(hls(tmp_path / "hls", KEY)) as server:
        with pytest.raises(MediaError, match=r"encrypted \(AES-128\)") as raised:
            seconds(reader, f"{server.url}/list.m3u8")
        assert not [path for path in server.hits if path.endswith(".ts")]
    assert raised.value.mend
