"""The agency's content: items, the passages that vectors score, and their states.

Names are spelt as in IPTC ninjs 1.x (`pubstatus`, `versioncreated`), which AP Media API shares.
https://iptc.org/std/ninjs/
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from core.media_words import Look, SeenText, Utterance, lines_of, words_of_file

FloatMatrix = npt.NDArray[np.float32]


class ItemType(StrEnum):
    """The values of ninjs `type` that name a kind of asset."""

    TEXT = "text"
    PICTURE = "picture"
    VIDEO = "video"
    AUDIO = "audio"
    GRAPHIC = "graphic"
    COMPOSITE = "composite"
    EVENT = "event"
    PLANNING = "planning"
    COMPONENT = "component"


class PubStatus(StrEnum):
    """ninjs `pubstatus`: whether an item may be used (IPTC NewsCodes pubstatusg2)."""

    USABLE = "usable"
    WITHHELD = "withheld"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Concept:
    """A subject, person, organisation or place: a name and, where a vocabulary has one, a code."""

    name: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """The file behind a picture, video or sound.

    `location` is the place of the original, a path or a store's URL; no answer shows it. `digest`
    is the sha256 of its bytes in hex, `similarity` the perceptual hash of what it shows.
    `thumbnail` and `preview` are names in the media store, "" without one.
    """

    location: str
    digest: str
    mimetype: str
    size: int
    width: int = 0
    height: int = 0
    duration_s: float = 0.0
    thumbnail: str = ""
    preview: str = ""
    similarity: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot of a video, from `start_s` up to `end_s`, in seconds of presentation.

    `transition` is how the shot begins: `start`, `cut`, `gradual` or `gap`. `description` is one
    line. `described_by` is empty if the agency wrote it; else it names the model and prompt that
    did. `thumbnail` names the still at `keyframe_s` in the media store.
    """

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    transition: str = "cut"
    description: str = ""
    described_by: str = ""
    keyframe_s: float = 0.0
    thumbnail: str = ""
    similarity: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One version of one asset.

    `uri` stays the same in all versions and `version` increases. `chain` names the story of the
    item (its uri, unless something else is said). All times are aware and in UTC. `products` are
    the entitlement codes that may see the item; empty means nobody. `rights` are words of the
    document for what a reader may do with the item; empty means that the document says nothing.
    `source` is the document as it arrived, with the members that ninjs does not know. `caption` is
    the description of a picture by the machine `caption_by` (model and prompt); the agency's own
    words are in `description`. `speech`, `seen` and `looks` are words that are found in the media
    (`core.media_words`), in the order of their seconds; `speech_by`, `seen_by` and `looks_by` name
    the model that found them. `speech_by` is empty if the agency's own script or subtitles say it.
    """

    uri: str
    version: int
    type: ItemType
    versioncreated: datetime
    firstcreated: datetime
    chain: str
    language: str = "en"
    pubstatus: PubStatus = PubStatus.USABLE
    embargoed: datetime | None = None
    expires: datetime | None = None
    urgency: int | None = None
    headline: str = ""
    description: str = ""
    body: str = ""
    byline: str = ""
    slugline: str = ""
    located: str = ""
    ednote: str = ""
    copyrightnotice: str = ""
    usageterms: str = ""
    subject: tuple[Concept, ...] = ()
    person: tuple[Concept, ...] = ()
    organisation: tuple[Concept, ...] = ()
    place: tuple[Concept, ...] = ()
    products: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    media: MediaFile | None = None
    caption: str = ""
    caption_by: str = ""
    shots: tuple[Shot, ...] = ()
    rights: tuple[str, ...] = ()
    speech: tuple[Utterance, ...] = ()
    speech_by: str = ""
    seen: tuple[SeenText, ...] = ()
    seen_by: str = ""
    looks: tuple[Look, ...] = ()
    looks_by: str = ""

    @property
    def shotlist(self) -> str:
        """The descriptions of the shots, a line each, in order; "" if no shot has one."""
        lines = "\n".join(shot.description for shot in self.shots)
        return lines if lines.strip() else ""

    @property
    def is_described(self) -> bool:
        """Whether people or a machine say what the item shows, or words are found in the media.
        Without that only the name of its file can find it.
        """
        told = (self.headline, self.description, self.body, self.caption, self.shotlist)
        found = (self.speech_text, self.seen_text, self.looks_text)
        return any(text.strip() for text in (*told, *found))

    @property
    def speech_text(self) -> str:
        """What is said, a line for each utterance, in order."""
        return lines_of(one.text for one in self.speech)

    @property
    def seen_text(self) -> str:
        """What is written in the picture or its frames, a line each, in order."""
        return lines_of(one.text for one in self.seen)

    @property
    def looks_text(self) -> str:
        """What a classifier sees, a line for each entry, in order."""
        return lines_of(one.name for one in self.looks)

    @property
    def file_words(self) -> str:
        """The words in the name of the media file; "" if people or a machine describe the item, or
        if its speech is known.
        """
        if self.media is None or self.speech:
            return ""
        told = (self.headline, self.description, self.body, self.caption, self.shotlist)
        if any(text.strip() for text in told):
            return ""
        return words_of_file(self.media.location)

    @property
    def agency_shotlist(self) -> str:
        """The agency's own descriptions of the shots, a line each."""
        return "\n".join(s.description for s in self.shots if s.description and not s.described_by)

    @property
    def machine_text(self) -> str:
        """All that machines say of the item: the caption, and a line for each shot that they
        describe.
        """
        said = (self.caption, *(s.description for s in self.shots if s.described_by))
        return "\n".join(text for text in said if text)


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of an item that one vector represents: characters `start` to `end` of its text `field`
    (`text_of`: "body", "description", "headline", "caption", "shotlist", "speech" or "seen"). In
    "shotlist" a passage is one shot. In "picture" it has no characters: it is the picture, or the
    still of the shot number `start`, from 0.
    """

    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The passages of one item and their vectors by one encoder.

    `vectors` is float32 [n, d] with unit rows; row i belongs to `passages[i]`. `encoder` is the
    digest of the model that made them, so that two vector spaces never mix. `truncated` counts
    passages whose end the encoder did not read.
    """

    field: str
    encoder: str
    passages: tuple[Passage, ...]
    vectors: FloatMatrix
    truncated: int = 0


def text_of(item: Item, name: str) -> str:
    """Return the text of an item in which a passage with the field `name` has its place; "" for
    "picture".
    """
    if name == PICTURE:
        return ""
    text: str = getattr(item, _TEXT_NAMES.get(name, name))
    return text


PICTURE = "picture"  # the field of passages that are pictures
_TEXT_NAMES = {"speech": "speech_text", "seen": "seen_text"}


def beyond_passages(item: Item, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return the texts of an item that go on after their last passage."""
    ends: dict[str, int] = {}
    for passage in passages:
        ends[passage.field] = max(ends.get(passage.field, 0), passage.end)
    return tuple(name for name, end in ends.items() if text_of(item, name)[end:].strip())


def line_of(item: Item, span: Passage) -> int:
    """Return the number, from 0, of the line of its text in which a passage begins: the place of
    its shot in `item.shots`, or the place in `item.speech` or `item.seen`.
    """
    if span.field == PICTURE:
        return span.start
    return text_of(item, span.field).count("\n", 0, span.start)


def second_of(item: Item, span: Passage) -> float | None:
    """Return the second of the media at which a passage begins; None for a text that has no time,
    or for a place that the item doesn't have.
    """
    line = line_of(item, span)
    match span.field:
        case "shotlist" | "picture" if line < len(item.shots):
            return item.shots[line].start_s
        case "speech" if line < len(item.speech):
            return item.speech[line].start_s
        case "seen" if line < len(item.seen):
            return item.seen[line].at_s
    return None


def shot_at(item: Item, second: float) -> int:
    """Return the number, from 1, of the shot that is shown at a second; 0 if there is none."""
    number = bisect_right(item.shots, second, key=lambda shot: shot.start_s)
    return number if number and second <= item.shots[number - 1].end_s else 0


def itemid_of(item: Item) -> str:
    """Return the agency's own id of an item, which AP calls its itemid; "" without one. It is one
    of the document's alternative ids: an object in ninjs 1, roles with values in ninjs 2 and 3.
    """
    named = (ids for name, ids in item.source.items() if name.lower().removeprefix("$") == "altids")
    ids = next(named, None)
    if isinstance(ids, list):
        entries = (entry for entry in reversed(ids) if isinstance(entry, Mapping))
        ids = {str(entry.get("role")): entry.get("value") for entry in entries}
    found = ids.get("itemid") if isinstance(ids, Mapping) else None
    return found.strip() if isinstance(found, str) else ""
