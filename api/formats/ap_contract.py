"""What AP Media API 2.2 says of a `contentitem`, in the terms of JSON schema.

`default` is what stands for a required member that a document does not have.
"""

from __future__ import annotations

from typing import Any

from api.formats.fitting import PLAIN

Schema = dict[str, Any]

TYPES = ("text", "picture", "graphic", "audio", "video")


def _text(**more: Any) -> Schema:
    return {"type": "string", **more}


def _one_of(*words: str, **more: Any) -> Schema:
    return {"type": "string", "enum": list(words), **more}


def _many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(required: str = "", **properties: Schema) -> Schema:
    plain = frozenset(
        name
        for name, rule in properties.items()
        if rule["type"] == "string" and rule.keys() <= {"type", "default"}
    )
    known = {"type": "object", "required": required.split(), "properties": properties}
    return known | {PLAIN: plain}


_TEXT, _WHOLE, _FLAG = _text(), {"type": "integer"}, {"type": "boolean"}
_TIME = _text(format="date-time")
_NAMED = _object("code name", code=_text(default=""), name=_text(default=""))
_TYPE = _one_of(*TYPES)
_POINT = _object(
    "coordinates type",
    type=_one_of("Point"),
    coordinates=_many({"type": "number"}),
)


def _concept(required: str, rels: Schema, **more: Schema) -> Schema:
    """Return a tag, with who or what set it. What a document does not say was set by its
    editors.
    """
    return _object(
        required,
        **{
            "code": _text(default=""),
            "name": _text(default=""),
            "creator": _text(default="Editorial"),
            "rels": rels | {"default": ["direct"]},
            "parentids": _many(_TEXT),
            "topparent": _FLAG,
            "scheme": _text(default=""),
            **more,
        },
    )


_PERSON = _concept(
    "creator name rels",
    _many(_one_of("direct", "personfeatured")),
    types=_many(_TEXT),
    teams=_many(_NAMED),
    associatedstates=_many(_NAMED),
    associatedevents=_many(_NAMED),
)
_SUBJECT = _concept(
    "code creator name",
    _many(_one_of("direct", "ancestor", "inferred", "category", "suppcategory")),
)
_ORGANISATION = _concept(
    "code creator name scheme",
    _many(_TEXT),
    industries=_many(_NAMED),
    symbols=_many(
        _object(
            "exchange instrument ticker",
            exchange=_text(default=""),
            instrument=_text(default=""),
            ticker=_text(default=""),
        )
    ),
)
_PLACE = _concept(
    "code creator name rels scheme",
    _many(_one_of("direct", "ancestor")),
    creator=_one_of("Editorial", "Machine", default="Editorial"),
    locationtype=_NAMED,
    geometry_geojson=_POINT,
)
_RENDITION = _object(
    orientation=_one_of("Horizontal", "Vertical"),
    scene=_TEXT,
    height=_WHOLE,
    width=_WHOLE,
    href=_TEXT,
    duration=_WHOLE,
    samplerate=_TEXT,
    digest=_TEXT,
    sizeinbytes=_WHOLE,
    title=_TEXT,
    averagebitrate=_TEXT,
    rel=_one_of("Main", "Preview", "Thumbnail", "Caption", "Script", "Shotlist"),
    videoscaling=_one_of("pillarboxed", "letterboxed", "mixed", "original"),
    contentid=_TEXT,
    type=_TYPE,
    videocodec=_TEXT,
    format=_TEXT,
    words=_WHOLE,
    fileextension=_TEXT,
    mediafilterid=_TEXT,
    aspectratio=_one_of("16:9", "4:3"),
    originalfilename=_TEXT,
    mimetype=_TEXT,
    framerate={"type": "number"},
    colourspace=_one_of("Color", "Black and White", "RGB", "Greyscale"),
    backgroundcolour=_TEXT,
    resolution=_WHOLE,
    version_links=_many(_TEXT),
)
_ASSOCIATION = _object(
    "uri",
    uri=_TEXT,
    headline=_TEXT,
    type=_TYPE,
    altids=_object("etag itemid", etag=_text(default=""), itemid=_TEXT),
    renditions={"type": "object", "additionalProperties": _RENDITION},
)
_ALTIDS = _object("itemid", itemid=_TEXT) | {"additionalProperties": _TEXT}
CONTENT_ITEM: Schema = _object(
    uri=_TEXT,
    altids=_ALTIDS,
    foreignkeys=_many({"type": "object"}),
    version=_WHOLE,
    type=_TYPE,
    profile=_TEXT,
    urgency=_WHOLE,
    editorialpriority=_TEXT,
    language=_text(maxLength=2, pattern="^[a-z]{2}$"),
    versioncreated=_TIME,
    firstcreated=_TIME,
    embargoed=_TIME,
    editorialrole=_TEXT,
    fixture=_object(name=_TEXT, code=_TEXT),
    pubstatus=_one_of("usable", "embargoed", "withheld", "canceled"),
    ednote=_TEXT,
    editorialtypes=_many(
        _one_of(
            *("Add", "Advisory", "Clarification", "Corrective", "Disregard", "HoldForRelease"),
            *("Kill", "Lead", "Writethru", "Takes", "Withhold", "Correction", "Elimination"),
        )
    ),
    signals=_many(
        _one_of(
            *("APWhollyOwned", "explicitcontent", "Test", "Derived", "DerivedLatest"),
            *("isnotdigitized", "NewsroomReady", "newscontent", "ConsumerReady"),
            *("singlesource", "whitelisted"),
        )
    ),
    title=_TEXT,
    headline=_TEXT,
    headline_extended=_TEXT,
    headline_seo=_TEXT,
    slugline=_TEXT,
    description_summary=_TEXT,
    bylines=_many(_object("by", by=_text(default=""), code=_TEXT, title=_TEXT, parametric=_TEXT)),
    producer=_object("name", name=_TEXT),
    photographer=_object("name", name=_TEXT, code=_TEXT, title=_TEXT),
    located=_TEXT,
    datelinelocation=_object(
        city=_TEXT,
        countrycode=_TEXT,
        countryname=_TEXT,
        countryareacode=_TEXT,
        countryareaname=_TEXT,
        geometry_geojson=_POINT,
    ),
    copyrightnotice=_TEXT,
    usageterms=_many(_TEXT),
    keywords=_many(_TEXT),
    outcue=_TEXT,
    provider=_TEXT,
    infosource=_many(_object("name", name=_TEXT, type=_TEXT)),
    links=_many(_object("href rel", href=_TEXT, rel=_text(default=""))),
    person=_many(_PERSON),
    subject=_many(_SUBJECT),
    organisation=_many(_ORGANISATION),
    place=_many(_PLACE),
    event=_many({"type": "object"}),
    audiences=_many(
        _object(
            "code name type", code=_text(default=""), name=_text(default=""), type=_text(default="")
        )
    ),
    description_caption=_TEXT,
    description_creditline=_TEXT,
    description_editornotes=_TEXT,
    textformat=_TEXT,
    associations={"type": "object", "additionalProperties": _ASSOCIATION},
    renditions={"type": "object", "additionalProperties": _RENDITION},
)
"""A whole item. Members that it does not name are the agency's own, and stay as they are."""

_OWN_WORDS = ("type", "language", "associations", "links")
OUR_ITEM: Schema = CONTENT_ITEM | {
    "properties": {
        name: rule for name, rule in CONTENT_ITEM["properties"].items() if name not in _OWN_WORDS
    }
    | {"altids": {"type": "object", "additionalProperties": _TEXT}}
}
"""An item of our own routes: every ninjs type, whole language tags, associations without a uri."""
