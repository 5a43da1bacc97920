"""A version as it is sent: a ninjs document, or what a worker records of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.items import Concept, Item, ItemType, MediaFile, Shot
from core.media_words import Look, SeenText, Utterance
from tests.guard.model import Nested, Version

if TYPE_CHECKING:
    from tests.guard.world import World

_TEXT = " ".join(f"coast{n}" for n in range(60))  # nearly the same in all: they fold together


def document_of(version: Version) -> dict[str, Any]:
    """ninjs, with the version's word in every member that says something; without its products
    where the same document may come for others.
    """
    word = version.word
    document: dict[str, Any] = {
        "uri": version.uri,
        "version": str(version.number),
        "type": version.kind,
        "pubstatus": version.pubstatus,
        "versioncreated": version.created.isoformat(),
        "headline": f"common {word}",
        "slugline": word,
        "ednote": f"note {word}",
        "description_caption": f"about {word}",
        "body_text": f"common body of {word} {_TEXT}",
        "byline": f"by {word}",
        "source": "AP",
        "creditline": "agency",
        "keywords": [word],
        "person": [{"name": f"Ana {word}", "code": f"id:{version.place}"}],
        "organisation": [{"name": f"{word} lines"}, {"name": version.place}],
        "place": [{"name": f"port {word}", "code": word}, {"name": version.place}],
        "subject": [{"name": f"{word} trade", "code": f"medtop:{word}"}, {"name": version.place}],
        "rights": [word, version.place],
        "renditions": {
            "main": {"href": f"https://files.example/{word}.jpg", "width": 1200, "height": 800}
        },
        "associations": {
            **{f"inside{n}": _inside(nested) for n, nested in enumerate(version.nested)},
            **_predecessor(version),
        },
        **_alternative_id(version),
    }
    if version.states_products:
        document["products"] = [*version.products]
    for name in ("embargoed", "expires"):
        if moment := getattr(version, name):
            document[name] = moment.isoformat()
    return document


def _inside(nested: Nested) -> dict[str, Any]:
    """Another item as a story shows it."""
    word = nested.word
    return {
        "uri": nested.uri,
        "type": "picture",
        "headline": f"picture {word}",
        "description_caption": f"seen {word}",
        "body_text": f"inside {word}",
        "renditions": {
            "thumbnail": {"href": f"https://files.example/{word}-small.jpg"},
            "original": {"href": f"https://files.example/{word}.jpg"},
        },
        "associations": {"deeper": {"uri": nested.uri, "headline": f"deeper {word}"}},
    }


def _alternative_id(version: Version) -> dict[str, Any]:
    match version.named_by:
        case "altids":
            return {"altids": [{"role": "chain", "value": version.chain}]}
        case "itemid":
            return {"altids": {"itemid": version.chain}}
    return {}


def _predecessor(version: Version) -> dict[str, Any]:
    if version.named_by in ("predecessor", "writethru_of"):
        return {version.named_by: {"uri": version.chain}}
    return {}


def item_of(version: Version, world: World) -> Item:
    """What a worker records of a picture or a film: the file, its stills and a machine's words."""
    word = version.word
    still = world.stills.put(f"picture of {word}".encode(), ".jpg")
    original = world.originals / f"{still[:20]}.mp4"
    film = f"film of {word}".encode()
    original.write_bytes(film)
    media = MediaFile(
        str(original), still[:64], "video/mp4", len(film), 1200, 800, thumbnail=still, preview=still
    )
    source, name = document_of(version), f"Angela {version.invented.capitalize()}"
    return Item(
        uri=version.uri,
        version=version.number,
        type=ItemType(version.kind),
        versioncreated=version.created,
        firstcreated=version.created,
        chain=version.chain,
        pubstatus=version.pubstatus,
        embargoed=version.embargoed,
        expires=version.expires,
        headline=source["headline"],
        description=source["description_caption"],
        body=source["body_text"],
        person=_concepts(source["person"]),
        organisation=_concepts(source["organisation"]),
        place=_concepts(source["place"]),
        subject=_concepts(source["subject"]),
        products=version.products,
        rights=tuple(source["rights"]),
        source=source,
        media=media,
        caption=f"seen {word} beside {name}",
        caption_by="a machine",
        shots=(
            Shot(0, 4, 0, 99, "start", f"shot of {word}", thumbnail=still),
            Shot(4, 8, 100, 199, "cut", f"{name} on {word}", "a machine", thumbnail=still),
        ),
        speech=(Utterance(5, 6, f"said {word}"),),
        seen=(SeenText(f"sign {word}", (0, 0, 1, 1), 2, 0.9),),
        seen_by="a machine",
        looks=(Look(f"like {word}", 0.9, 2),),
        looks_by="a machine",
    )


def _concepts(things: list[dict[str, str]]) -> tuple[Concept, ...]:
    return tuple(Concept(thing["name"], thing.get("code", "")) for thing in things)
