"""Which stills may be sent: rights and size are checked before anything leaves.

The bytes are not decoded. Only the size in a JPEG's frame header is read.
ITU-T T.81, annex B.
"""

from __future__ import annotations

from core.media import ToCaption, Uncaptioned

MOST_BYTES = 4 * 2**20
RIGHTS = "rights forbid external processing"
_START = b"\xff\xd8"
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def refusal(still: ToCaption, edge: int) -> Uncaptioned | None:
    """Why a still may not be sent, or None. `edge` is the largest allowed, in pixels."""
    if not still.may_leave:
        return Uncaptioned(RIGHTS, again=False)
    if len(still.jpeg) > MOST_BYTES:
        return Uncaptioned(f"the still has {len(still.jpeg):,} bytes", again=False)
    size = jpeg_size(still.jpeg)
    if size is None:
        return Uncaptioned("the still is no JPEG", again=False)
    if max(size) > edge:
        what = f"the still is {size[0]}x{size[1]}, not scaled to {edge}"
        return Uncaptioned(what, again=False)
    return None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from a JPEG's frame header; None without one."""
    if not data.startswith(_START):
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAMES:
            height = int.from_bytes(data[place + 5 : place + 7])
            width = int.from_bytes(data[place + 7 : place + 9])
            return (width, height) if width and height else None
        else:
            place += 2 + max(int.from_bytes(data[place + 2 : place + 4]), 2)
    return None
