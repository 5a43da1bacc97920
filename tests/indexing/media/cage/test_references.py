"""Media that point elsewhere: nothing is read, nothing is fetched."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from core.errors import DatelineError, MediaError
from core.media import FrameBatch, Gap
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, level, write_clip
from tests.live_servers import FileServer, RtspServer

pytestmark = pytest.mark.timed

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-VERSION:3\n#EXTINF:2.0,\n{0}\n#EXT-X-ENDLIST\n"
DASH = (
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
SDP = "v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=video {port} RTP/AVP 33\n"
SMOOTH = (
    '<SmoothStreamingMedia MajorVersion="2" Duration="20000000"><StreamIndex Type="video" '
    'Url="{}"><QualityLevel Index="0"/></StreamIndex></SmoothStreamingMedia>'
)
TEXTS = {
    "playlist": PLAYLIST,
    "master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n",
    "key": PLAYLIST.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF'),
    "map": PLAYLIST.replace("#EXTINF", '#EXT-X-MAP:URI="{0}"\n#EXTINF'),
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "dash": DASH,
    "smooth": SMOOTH,
    "asx": '<ASX VERSION="3.0"><ENTRY><REF HREF="{}"/></ENTRY></ASX>',
    "quicktime": '<?quicktime type="application/x-quicktime-media-link"?><embed src="{}"/>',
    "smil": '<smil><body><video src="{}"/></body></smil>',
    "svg": '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{}"/></svg>',
    "rtsptext": "RTSPtext\n{}\n",
}
SUFFIXES = (".mp4", ".m3u8", ".ts", ".jpg")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A clip that nobody may read, beside what points to it."""
    return write_clip(tmp_path / "canary.ts", Clip(count=50))


def tries(reader: CagedReader, path: Path) -> Iterator[object]:
    """Everything that can be asked of a file; what it says, or its error."""
    for ask in (
        lambda: reader.probe(path),
        lambda: list(reader.frames(path)),
        lambda: reader.stills(path, [[0.0, 0.5]], 320),
        lambda: reader.picture(path, [320]),
    ):
        try:
            yield ask()
        except MediaError as error:
            yield error


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_points_elsewhere_reads_and_fetches_nothing(
    kind: str, reader: CagedReader, canary: Path
) -> None:
    with FileServer({"/canary.ts": canary.read_bytes()}) as server:
        targets = (str(canary), canary.name, f"file://{canary}", f"{server.url}/canary.ts")
        for target in (*targets, f"concat:{canary}", f"subfile,,start,0,end,0,,:{canary}"):
            for suffix in SUFFIXES:
                path = canary.with_name(f"thing{suffix}")
                path.write_text(TEXTS[kind].format(target))
                assert all(isinstance(said, MediaError) for said in tries(reader, path)), target
        assert server.hits == []


def test_what_is_refused_would_be_fetched_elsewhere(canary: Path) -> None:
    """The library by itself does follow such a file: the threat is real."""
    with FileServer({"/canary.ts": canary.read_bytes()}) as server:
        path = canary.with_name("list.m3u8")
        path.write_text(PLAYLIST.format(f"{server.url}/canary.ts"))
        options = {"protocol_whitelist": "file,http,tcp"}
        with av.open(str(path), options=options) as container:
            assert next(container.decode(video=0)).width == 160
        assert "/canary.ts" in server.hits


def test_a_session_description_listens_to_nobody(reader: CagedReader, tmp_path: Path) -> None:
    path = tmp_path / "talk.sdp"
    path.write_text(SDP.format(host="127.0.0.1", port=40000))
    assert all(isinstance(said, MediaError) for said in tries(reader, path))


def alias(target: Path) -> bytes:
    """A data reference of QuickTime to a file by its absolute path (QTFF, data reference atoms;
    Inside Macintosh: Files, alias records).
    """
    name = target.name.encode()[:63]
    where = str(target).encode()
    head = bytes(10) + bytes([1]) + b"v".ljust(27, b"\0") + bytes(12)
    head += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    head += struct.pack(">hh", 0, 1) + bytes(16)
    records = b"".join(
        struct.pack(">hH", kind, len(text)) + text + b"\0" * (len(text) % 2)
        for kind, text in ((2, where), (18, where))
    )
    body = head + records + struct.pack(">hH", -1, 0)
    return struct.pack(">I4sI", 12 + len(body), b"alis", 0) + body


def test_a_data_reference_is_not_followed(
    reader: CagedReader, canary: Path, tmp_path: Path
) -> None:
    """A QuickTime movie whose samples lie in another file."""
    path = write_clip(tmp_path / "movie.mov", Clip(count=20, muxer={"movflags": "faststart"}))
    data = path.read_bytes()
    at = data.index(b"dref") - 4
    size = struct.unpack_from(">I", data, at)[0]
    for reference in (
        alias(canary),
        struct.pack(">I4sI", 12 + len(str(canary)) + 1, b"url ", 0) + str(canary).encode() + b"\0",
    ):
        new = struct.pack(">I4sII", 16 + len(reference), b"dref", 0, 1) + reference
        grown = bytearray(data[:at] + new + data[at + size :])
        for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            place = grown.index(name) - 4
            old = struct.unpack_from(">I", grown, place)[0]
            struct.pack_into(">I", grown, place, old + len(new) - size)
        path.write_bytes(grown)
        for said in tries(reader, path):
            seen = said if isinstance(said, list) else []
            shown = [
                frame for item in seen if isinstance(item, FrameBatch) for frame in item.pixels
            ]
            bright = {round(float(frame[20:, 24:].mean())) for frame in shown}
            assert not any(abs(value - level(2)) < 3 for value in bright), "the canary's frames"


@pytest.mark.parametrize("kind", ["playlist", "master", "key", "map"])
def test_a_live_playlist_reaches_its_own_host_only(
    kind: str, reader: CagedReader, canary: Path
) -> None:
    with FileServer({"/canary.ts": canary.read_bytes()}) as other, FileServer({}) as server:
        server.files["/away.ts"] = f"{other.url}/canary.ts"
        targets = (f"{other.url}/canary.ts", "/away.ts", f"file://{canary}", f"concat:{canary}")
        for target in (*targets, f"crypto+file://{canary}", "data:video/mp2t;base64,AAAA"):
            server.files["/live.m3u8"] = TEXTS[kind].format(target).encode()
            with pytest.raises(DatelineError):
                frames(reader, LiveSource(url=f"{server.url}/live.m3u8", silent_s=5.0))
        assert other.hits == []
        assert "/live.m3u8" in server.hits


def frames(reader: CagedReader, source: LiveSource) -> list[FrameBatch | Gap]:
    found = list(reader.live(source))
    if not found:
        raise MediaError("no frames")
    return found


def test_hosts_that_the_user_names_are_reached(reader: CagedReader, canary: Path) -> None:
    """The same playlist works once both are one host."""
    with FileServer({"/canary.ts": canary.read_bytes()}) as server:
        server.files["/live.m3u8"] = PLAYLIST.format(f"{server.url}/canary.ts").encode()
        server.files["/moved.m3u8"] = "/live.m3u8"
        for name in ("live", "moved"):
            found = frames(reader, LiveSource(url=f"{server.url}/{name}.m3u8"))
            assert sum(len(item.seconds) for item in found if isinstance(item, FrameBatch)) == 50


def test_a_stream_that_sends_us_elsewhere_finds_nobody(reader: CagedReader, canary: Path) -> None:
    with RtspServer(canary) as other, RtspServer(canary, redirect=other.url) as server:
        with pytest.raises(MediaError):
            list(reader.live(LiveSource(url=server.url, silent_s=5.0)))
        assert (server.clients, other.clients) == (1, 0)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "concat:a", "gopher://h/", "rtsp://", "udp://h:1"]
)
def test_only_schemes_on_the_list_are_live_sources(url: str, reader: CagedReader) -> None:
    with pytest.raises(DatelineError, match="no live source"):
        list(reader.live(LiveSource(url=url)))
