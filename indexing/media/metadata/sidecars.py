"""Files beside a media file that describe it: ninjs documents, XMP, shot lists, subtitles.

Beside `clip.mp4` these are read; an earlier one outweighs a later one, member by member:

    clip.mp4.json, clip.json                ninjs, whole or some of its members
    clip.mp4.xmp, clip.xmp                  an XMP packet
    clip.shots.json, .csv, .txt             a shot list
    clip.mp4.srt, clip.srt, .vtt            subtitles: what is said, in the agency's own words

They outweigh what is embedded in the file itself: they were written later, and for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from core.errors import DocumentError, MediaError
from indexing import json_tree
from indexing.media.metadata.properties import ALT_MEMBER, tree_of_packet
from indexing.media.shots.shot_lists import MAX_BYTES, lines_of, lines_of_json
from indexing.speech.subtitles import maker_of

MAX_SIDECAR_BYTES = 8 * 2**20
SHOTLIST = "shotlist"  # our extension members: a list of {start, end, description}
TRANSCRIPT = "transcript"  # and a list of {start, end, text}
TRANSCRIPT_BY = "transcript_by"  # the machine that made it, if a WebVTT file says so
XMP_PACKET = "xmp_packet"  # the raw packet of a sidecar, for the check of rights; never recorded
_DOCUMENTS = (".json", ".xmp")
_SUBTITLES = (".srt", ".vtt")
_LISTS = (".shots.json", ".shots.csv", ".shots.txt", *_SUBTITLES)
# The names of one thing in ninjs 1.x to 3.x: a document that has one of them has said it.
_SAME = (
    ("headline", "headlines", "title"),
    ("byline", "by", "bylines"),
    ("subject", "subjects", "keywords"),
    ("person", "people"),
    ("organisation", "organisations"),
    ("place", "places"),
    ("firstcreated", "contentcreated"),
    ("usageterms", "usageterms_array"),
)


def sidecar_names(name: str) -> tuple[str, ...]:
    """Return the names that sidecars of the media file `name` may have, in the order of reading."""
    stem = PurePosixPath(name).stem
    places = dict.fromkeys((name, stem))
    return tuple(f"{place}{end}" for end in (*_DOCUMENTS, *_LISTS) for place in places)


def sidecar_of(
    name: str, read: Callable[[str], bytes | None]
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return the members of ninjs from the sidecars of the media file `name` (None without
    sidecars), and notes on unreadable ones, for a person.

    `read` returns the bytes of a file beside it by its name, None if there is none. A shot list
    is in the member `shotlist`, subtitles in `transcript`, the raw packet of an XMP sidecar in
    `xmp_packet`.
    """
    tree: dict[str, Any] | None = None
    notes: list[str] = []
    for beside in sidecar_names(name):
        data = read(beside)
        if data is None:
            continue
        try:
            said = _read(beside, data)
        except (DocumentError, MediaError) as error:
            notes.append(f"{beside}: {error}")
            continue
        tree = said if tree is None else overlaid(tree, said)
    return tree, tuple(notes)


def overlaid(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of `first`, and those of `second` that `first` lacks under all of their
    names. A member that is null or empty counts as lacking.
    """
    said = {_theme(name) for name, value in first.items() if value not in (None, "", [], {})}
    kept = {name: value for name, value in second.items() if _theme(name) not in said}
    spoken = {name: value for name, value in first.items() if _theme(name) in said}
    return {**kept, **spoken}


def with_alt_texts(tree: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the tree without its alt texts, and the alt texts that are not its description. The
    first one becomes the description if the tree has none in any spelling: a caption outweighs an
    alt text, whichever standard each is from.
    """
    rest = dict(tree)
    given = rest.pop(ALT_MEMBER, None)
    told = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    descriptions = [v for name, v in rest.items() if _theme(name) == "description" and v]
    if told and not descriptions:
        rest["description_caption"] = told[0]
        descriptions = told[:1]
    return rest, "\n".join(text for text in dict.fromkeys(told) if text not in descriptions)


def _theme(name: str) -> str:
    """Return the subject of a member of ninjs, whatever its spelling."""
    plain = name.lower().removeprefix("$")
    for theme, several in (("description", "descriptions"), ("body", "bodies")):
        if plain == several or plain.startswith(f"{theme}_"):
            return theme
    if plain.startswith("headline_"):
        return "headline"
    return next((same[0] for same in _SAME if plain in same), plain)


def _read(name: str, data: bytes) -> dict[str, Any]:
    is_list = name.endswith(_LISTS)
    most = MAX_BYTES if is_list else MAX_SIDECAR_BYTES
    if len(data) > most:
        raise DocumentError(f"the sidecar is over {most} bytes", mend="split or shorten it")
    if name.endswith(".xmp"):
        packet = data.decode("utf-8", "replace")
        return {**tree_of_packet(packet), XMP_PACKET: packet}
    if not is_list:
        return json_tree.parse(data)
    if name.endswith(".json"):
        return {SHOTLIST: lines_of_json(data)}
    lines = lines_of(data, PurePosixPath(name).suffix)
    if not name.endswith(_SUBTITLES):
        return {SHOTLIST: lines}
    maker = maker_of(data.decode("utf-8", "replace"))
    return {TRANSCRIPT: lines, **({TRANSCRIPT_BY: maker} if maker else {})}
