"""One media file becomes one `Item`, with people's words and a machine's captions.

The agency's own words come first: a document beside the file or one that names it, an XMP sidecar,
then what is embedded in the file. They become one ninjs document, which is read with all checks of
`indexing.ninjs`. A machine's words are kept beside them and never replace them: a shot that people
described gets no machine's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import DocumentError
from core.items import Item, MediaFile, Shot
from core.made_up_names import FoundNames, without_made_up_names, without_misheard_names
from core.media import Caption, MediaFacts, MediaKind
from core.media_words import Look, SeenText, Utterance
from core.ports.engine import Clock
from indexing import ninjs, texts
from indexing.fields import item_type
from indexing.looks import Stills, stills_of
from indexing.media.metadata.properties import embedded_tree
from indexing.media.metadata.sidecars import (
    SHOTLIST,
    TRANSCRIPT,
    TRANSCRIPT_BY,
    XMP_PACKET,
    overlaid,
    with_alt_texts,
)
from indexing.media.shots.aligning import aligned
from indexing.media.shots.listed import MAX_SHOTS
from indexing.media.shots.shot_lists import in_seconds, lines_of_tree
from indexing.ninjs import Checked


@dataclass(frozen=True, slots=True)
class Asset:
    """A media file to be made findable.

    `location` is its path or a store's URL, `digest` the sha256 of its bytes in hex and `size`
    their number. `sidecar` has the members of ninjs from elsewhere: a document beside it, a
    document that names it, or a manifest's row; None without any. `products` are added to its own.
    """

    location: str
    digest: str
    size: int
    sidecar: Mapping[str, Any] | None = None
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrichment:
    """The computed data of an asset.

    `shots` are in order, with the stills' names in the media store and without descriptions, empty
    in a picture. `captions` has one entry per shot, or one for a picture: None without a machine's
    caption. `thumbnail` and `preview` name the whole asset's stills, `similarity` is its perceptual
    hash in hex (PDQ). `speech`, `seen` and `looks` are the words that machines found in it, with
    their makers. `notes` say what could not be done, for a person to read.
    """

    facts: MediaFacts
    shots: tuple[Shot, ...] = ()
    captions: tuple[Caption | None, ...] = field(default=())
    thumbnail: str = ""
    preview: str = ""
    similarity: str = ""
    speech: tuple[Utterance, ...] = ()
    speech_by: str = ""
    seen: tuple[SeenText, ...] = ()
    seen_by: str = ""
    looks: tuple[Look, ...] = ()
    looks_by: str = ""
    notes: tuple[str, ...] = ()

    @property
    def stills(self) -> Stills:
        """The stills that models look at, with their seconds."""
        return stills_of(self.preview, self.similarity, self.shots)


MAX_CAPTION = 4_000  # characters
_STATE = ("pubstatus", "embargoed", "embargoeduntil")
_SEEN = ("picture", "video", "audio", "graphic")

StillThere = Callable[[str], bool]


def is_there(location: str) -> bool:
    """Return whether a local file is still in its place; for a store always true."""
    return "://" in location or Path(location).exists()


def build_item(
    asset: Asset,
    enrichment: Enrichment,
    clock: Clock,
    recorded: Item | None = None,
    still_there: StillThere = is_there,
    names: FoundNames | None = None,
) -> Checked:
    """Return the item of an asset. Raises DocumentError if its metadata can't be read.

    Its uri is the document's, else `urn:sha256:` and the digest of the file. Its version is the
    document's. Without one it is the version of `recorded` (the newest recorded version of the uri)
    if nothing changed, else the next one: so the old version stays in the chain, and a kill, a hold
    or an embargo that was set since stays in force. Names that the agency's own text lacks are
    removed from machine texts, transcripts among them; `names` finds names that capitals don't
    show.
    """
    tree, alt, notes = _document(asset, enrichment)
    lines = tree.pop(SHOTLIST, None)
    own = tree.pop(TRANSCRIPT) if isinstance(tree.get(TRANSCRIPT), list) else None
    own_by = str(tree.pop(TRANSCRIPT_BY, "") or "") if own is not None else ""
    checked = ninjs.read_tree(tree, clock, asset.products)
    shots, rest = _shots(enrichment, lines)
    caption, caption_by = _caption(enrichment) if not enrichment.shots else ("", "")
    speech, speech_by = _speech(enrichment, own, own_by)
    body = "\n".join(text for text in (checked.item.body, alt, rest) if text)
    item = replace(
        checked.item,
        body=texts.check_body(body, "body"),
        media=_media(asset, enrichment),
        caption=caption,
        caption_by=caption_by,
        shots=shots,
        speech=speech,
        speech_by=speech_by,
        seen=enrichment.seen,
        seen_by=enrichment.seen_by,
        looks=enrichment.looks,
        looks_by=enrichment.looks_by,
    )
    found = names(texts.check_words(item)) if names else None
    item = without_misheard_names(without_made_up_names(item, found), found)
    if tree.get("version") is None:
        item = _versioned(item, recorded, still_there)
    warnings = (*checked.warnings, *notes, *enrichment.notes)
    return Checked(item, tuple(dict.fromkeys(warnings)), checked.unknown)


def _document(asset: Asset, enrichment: Enrichment) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    """Return the ninjs document of an asset, its alt texts, and the unreadable parts."""
    embedded, notes = embedded_tree(enrichment.facts)
    sidecar = {k: v for k, v in (asset.sidecar or {}).items() if k != XMP_PACKET}
    tree, told = with_alt_texts(overlaid(sidecar, embedded))
    alt, _ = texts.clean(told)
    tree["uri"] = tree.get("uri") or f"urn:sha256:{asset.digest}"
    tree["type"] = _type(tree.get("type"), enrichment.facts.kind)
    return tree, alt, notes


def _type(named: object, kind: MediaKind) -> str:
    """Return the document's type if it is one of a media file, else the file's kind."""
    if isinstance(named, str) and named.strip():
        found = item_type(named, "type")
        if found in _SEEN:
            return str(found)
    return str(kind)


def _media(asset: Asset, enrichment: Enrichment) -> MediaFile:
    facts = enrichment.facts
    return MediaFile(
        location=asset.location,
        digest=asset.digest,
        mimetype=facts.mimetype,
        size=asset.size,
        width=facts.width,
        height=facts.height,
        duration_s=facts.duration_s,
        thumbnail=enrichment.thumbnail,
        preview=enrichment.preview,
        similarity=enrichment.similarity,
    )


def _shots(enrichment: Enrichment, lines: object) -> tuple[tuple[Shot, ...], str]:
    """Return the shots with their descriptions, and the lines that belong to no shot."""
    if len(enrichment.shots) > MAX_SHOTS:
        raise DocumentError(f"a video of over {MAX_SHOTS} shots", mend="cut it into parts")
    facts = enrichment.facts
    listed = lines_of_tree(lines) if lines is not None else []
    timed = in_seconds(listed, facts.frame_rate, facts.duration_s)
    shots, rest = enrichment.shots, ""
    if facts.kind is MediaKind.VIDEO or shots:
        shots, rest = aligned(shots, timed, facts.frame_rate or 25.0)
    elif timed:
        rest = "\n".join(line.description for line in timed)
    if len(enrichment.captions) == len(shots):
        pairs = zip(shots, enrichment.captions, strict=True)
        shots = tuple(_captioned(shot, caption) for shot, caption in pairs)
    return shots, rest


def _speech(enrichment: Enrichment, own: object, own_by: str) -> tuple[tuple[Utterance, ...], str]:
    """Return what is said, and who wrote it down. The agency's own transcript goes before a
    machine's, and a machine's of now before one that lies beside the file.
    """
    if own is None or (own_by and enrichment.speech):
        return enrichment.speech, enrichment.speech_by
    facts = enrichment.facts
    timed = in_seconds(lines_of_tree(own), facts.frame_rate, facts.duration_s)
    told = ((line, texts.clean(line.description)[0].strip()) for line in timed if line.start_s >= 0)
    made = tuple(Utterance(line.start_s, line.end_s, text) for line, text in told if text)
    return made, own_by if made else ""


def _captioned(shot: Shot, caption: Caption | None) -> Shot:
    """Return the shot, with the machine's caption if nobody described it."""
    if shot.description or caption is None or not (text := _told(caption)):
        return shot
    return replace(shot, description=" ".join(text.split()), described_by=_by(caption))


def _caption(enrichment: Enrichment) -> tuple[str, str]:
    caption = next((one for one in enrichment.captions if one is not None), None)
    text = _told(caption) if caption is not None else ""
    return (text, _by(caption)) if caption is not None and text else ("", "")


def _told(caption: Caption) -> str:
    """Return a machine's caption, and the names beside it as part of its text. They never become
    persons of the item, which can be filtered by, because a machine's guess is not the agency's
    word.
    """
    text, _ = texts.clean(caption.text)
    named = [*caption.persons, *caption.places, *caption.keywords]
    new = [word for word in dict.fromkeys(named) if word.casefold() not in text.casefold()]
    more, _ = texts.clean(", ".join(new))
    return "\n".join(part for part in (text.strip(), more.strip()) if part)[:MAX_CAPTION].strip()


def _by(caption: Caption) -> str:
    return " ".join(caption.made_by.split())[:500]


def _versioned(item: Item, recorded: Item | None, still_there: StillThere) -> Item:
    """Return the item with its present or next version."""
    if recorded is None or recorded.uri != item.uri:
        return item
    same = replace(item, version=recorded.version)
    if content_of(same) == content_of(recorded) and _stays(same, recorded, still_there):
        return same
    version = max(item.version, recorded.version + 1)
    if any(item.source.get(name) != recorded.source.get(name) for name in _STATE):
        return replace(item, version=version)
    return replace(
        item, version=version, pubstatus=recorded.pubstatus, embargoed=recorded.embargoed
    )


def content_of(item: Item) -> Mapping[str, Any]:
    """Return the members whose change makes a new version: all but times of ingest, states, and
    place.
    """
    kept = {name: getattr(item, name) for name in item.__slots__}
    for name in ("versioncreated", "firstcreated", "pubstatus", "embargoed", "products", "rights"):
        del kept[name]
    kept["media"] = item.media and replace(item.media, location="")
    return kept


def _stays(item: Item, recorded: Item, still_there: StillThere) -> bool:
    """Return whether the recorded place is as good: one file may be in two places."""
    if item.media is None or recorded.media is None:
        return True
    here, there = item.media.location, recorded.media.location
    return here == there or still_there(there)
