"""Opens a video or sound from a file handle, and nothing that it points to.

There are three gates: only demuxers and decoders on a list are used, none of which reads other
files (hls, dash, concat, image2, sdp and the like); the callback that libavformat opens through
refuses every name; and the process can't open a name or a socket at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import FileIO
from typing import Any, NoReturn

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from indexing.media.cage.limits import CageLimits, Refusal

# libavformat's names: a file is read if one of its demuxer's names is here.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,ogg,asf,mxf,dv,gxf,ivf,nut,"
    "h264,hevc,m4v,vc1,obu,wav,w64,aiff,mp3,flac,aac,ac3,eac3,amr,caf,au"
)
DECODERS = (
    "h264,hevc,vvc,libdav1d,av1,vp8,libvpx-vp8,vp9,libvpx-vp9,mpeg4,mpeg2video,mpeg1video,msmpeg4,"
    "msmpeg4v1,msmpeg4v2,wmv1,wmv2,wmv3,vc1,h261,h263,h263p,h263i,flv,theora,mjpeg,mjpegb,prores,"
    "dnxhd,cfhd,dvvideo,rawvideo,v210,ffv1,huffyuv,ffvhuff,utvideo,cinepak,indeo3,indeo5,svq1,svq3,"
    "qtrle,rpza,vp6,vp6f,jpeg2000,hap,png,magicyuv,aac,mp3,mp3float,mp2,mp2float,ac3,eac3,flac,opus,"
    "libopus,vorbis,alac,wmav1,wmav2,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_u8,pcm_alaw,pcm_mulaw"
)
_BUFFER = 256 * 2**10
_MOST_STREAMS = "64"
# Texts that are no UTF-8 are read in part. PyAV 19, which Python 3.12 and later get, always does.
LENIENT: dict[str, Any] = (
    {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
)


def open_file(handle: int, limits: CageLimits) -> InputContainer:
    """Return the container behind a file handle, with its video's size checked. Raises Refusal."""
    container = open_source(_from_start(handle), limits, {})
    if any(_has_no_size(stream) for stream in container.streams.video):
        # The library forgets a size over its limit, but reports it without decoders.
        container.close()
        with open_source(_from_start(handle), limits, {"codec_whitelist": "none"}):
            container = open_source(_from_start(handle), limits, {})
    return container


def _has_no_size(stream: VideoStream) -> bool:
    context = stream.codec_context
    return bool(context) and not (context.width and context.height)


def _from_start(handle: int) -> FileIO:
    source = FileIO(handle, closefd=False)
    source.seek(0)
    return source


def open_source(source: Any, limits: CageLimits, options: Mapping[str, str]) -> InputContainer:
    """Return the container in a file object. Raises Refusal."""
    try:
        container: InputContainer = av.open(
            source,
            "r",
            options={**options_of(limits), **options},
            **LENIENT,
            buffer_size=_BUFFER,
            io_open=_open_nothing,
        )
    except MemoryError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise Refusal(f"no picture, video or sound that can be read: {_reason(error)}") from error
    check_sizes(container, limits)
    return container


def check_sizes(container: InputContainer, limits: CageLimits) -> None:
    """Raise Refusal if a video's header says that it is larger than the limits."""
    contexts = [stream.codec_context for stream in container.streams.video]
    for context in filter(None, contexts):  # None without a decoder
        sizes = (context.width, context.height, context.coded_width, context.coded_height)
        if max(sizes) > limits.video_edge:
            raise Refusal(
                f"a video of {max(sizes[0::2])} x {max(sizes[1::2])} pixels; "
                f"{limits.video_edge} a side are allowed",
                limit=True,
            )


def video_of(container: InputContainer) -> VideoStream | None:
    """Return the video that is shown: the first that is not a cover picture; None without one."""
    shown = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    return next((stream for stream in shown if stream.codec_context is not None), None)


def prepare(stream: VideoStream, limits: CageLimits, *, threads: str = "AUTO") -> None:
    """Set how a video is decoded, before its first packet.

    The loop filter is skipped for frames that no other frame needs: at 27 lines nobody sees it, and
    no error is carried on.
    """
    context = stream.codec_context
    context.options = {**options_of(limits), "skip_loop_filter": "noref"}
    context.thread_type = threads
    context.thread_count = limits.threads


def options_of(limits: CageLimits) -> dict[str, str]:
    """Return the gates, as the library's options."""
    return {
        "format_whitelist": DEMUXERS,
        "codec_whitelist": DECODERS,
        "protocol_whitelist": "none",
        "max_pixels": str(limits.video_edge**2),
        "max_streams": _MOST_STREAMS,
        "export_xmp": "1",
    }


def _open_nothing(name: str, flags: int, options: Mapping[str, str]) -> NoReturn:
    """Refuse every name that a file asks for."""
    raise PermissionError("it refers to another file or host, which is not opened")


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error)
