"""The boundary model: which members of a document we read, and of what type each must be.

One model takes ninjs 1.x, 2.x and 3.x and AP Media API's content items: their members differ in
case (`versionCreated`, `versioncreated`), in number (`subject`, `subjects`) and, for four of them,
shape (an object or an array). `names` maps them to one spelling before pydantic sees them.
https://iptc.org/std/ninjs/, https://api.ap.org/media/v/docs/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.errors import DocumentError
from indexing import json_tree

Tree = dict[str, Any]


def _code(value: object) -> object:
    """Return products as strings, as we name them; AP numbers its products."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _product(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


class Strict(BaseModel):
    """Members have exactly their type, or null; unknown members are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class NamedThing(Strict):
    """A subject, person, organisation, place: 1.x has `code`, 2.x and later `literal` and `uri`."""

    name: str | None = None
    code: str | None = None
    literal: str | None = None
    uri: str | None = None


class Value(Strict):
    """A headline, description or body of ninjs 2.x and later."""

    role: str | None = None
    contenttype: str | None = Field(
        None, validation_alias=AliasChoices("contenttype", "contentType")
    )
    value: str | None = None


class AltId(Strict):
    """An alternative id of ninjs 2.x and later."""

    role: str | None = Field(None, validation_alias=AliasChoices("role", "key"))
    value: str | None = None


class Association(Strict):
    """Another item that this one points to."""

    name: str | None = None
    rel: str | None = None
    uri: str | None = None


class Byline(Strict):
    """AP's byline."""

    by: str | None = None


class Product(Strict):
    """An entitlement: its code is in `id` or `code`, else in `name`."""

    id: Annotated[str | None, BeforeValidator(_code)] = None
    code: Annotated[str | None, BeforeValidator(_code)] = None
    name: str | None = None


Products = list[Annotated[Product, BeforeValidator(_product)]]
Things = list[NamedThing]


class Meta(Strict):
    """AP's members beside the item."""

    products: Products | None = None


class Document(Strict):
    """Every member that ninjs knows, by its lower-case name; `suffixed` holds ninjs 1.x's `body_*`,
    `description_*` and `headline_*`.
    """

    uri: str
    type: str = "text"
    version: Any = None
    versioncreated: str | None = None
    firstcreated: str | None = None
    contentcreated: str | None = None
    embargoed: str | None = None
    embargoeduntil: str | None = None
    expires: str | None = None
    pubstatus: str = "usable"
    urgency: float | None = None
    language: str = ""
    profile: str = ""
    mimetype: str = ""
    representationtype: str = ""
    title: str = ""
    headline: str = ""
    headlines: list[Value] = Field(default_factory=list)
    descriptions: list[Value] = Field(default_factory=list)
    bodies: list[Value] = Field(default_factory=list)
    suffixed: dict[str, str] = Field(default_factory=dict)
    by: str = ""
    byline: str = ""
    bylines: list[Byline] = Field(default_factory=list)
    slugline: str = ""
    located: str = ""
    ednote: str = ""
    copyrightholder: str = ""
    copyrightnotice: str = ""
    usageterms: str = ""
    usageterms_array: list[str] = Field(default_factory=list)
    subject: Things = Field(default_factory=list)
    subjects: Things = Field(default_factory=list)
    person: Things = Field(default_factory=list)
    people: Things = Field(default_factory=list)
    organisation: Things = Field(default_factory=list)
    organisations: Things = Field(default_factory=list)
    place: Things = Field(default_factory=list)
    places: Things = Field(default_factory=list)
    products: Products = Field(default_factory=list)
    meta: Meta = Meta()
    altids: list[AltId] = Field(default_factory=list)
    altids_object: dict[str, Any] = Field(default_factory=dict)
    associations: list[Association] = Field(default_factory=list)
    associations_object: dict[str, Association] = Field(default_factory=dict)
    renditions: list[Tree] = Field(default_factory=list)
    renditions_object: dict[str, Any] = Field(default_factory=dict)
    event: list[Tree] = Field(default_factory=list)
    events: list[Tree] = Field(default_factory=list)
    object: list[Tree] = Field(default_factory=list)
    objects: list[Tree] = Field(default_factory=list)
    infosource: list[Tree] = Field(default_factory=list)
    infosources: list[Tree] = Field(default_factory=list)
    genre: list[Tree] = Field(default_factory=list)
    genres: list[Tree] = Field(default_factory=list)
    trustindicator: list[Tree] = Field(default_factory=list)
    trustindicators: list[Tree] = Field(default_factory=list)
    charcount: float | None = None
    wordcount: float | None = None
    standard: Tree = Field(default_factory=dict)
    rightsinfo: Tree = Field(default_factory=dict)
    rights: Any = None
    signals: Any = None
    digitalsourcetype: Tree = Field(default_factory=dict)
    eventdetails: Tree = Field(default_factory=dict)
    plannedcoverage: list[Tree] = Field(default_factory=list)
    shotlist: Any = None


_ARRAY_OR_OBJECT = {
    "altids": dict,
    "associations": dict,
    "renditions": dict,
    "usageterms": list,
}
_INTERNAL = {"suffixed", "usageterms_array"} | {f"{name}_object" for name in _ARRAY_OR_OBJECT}
_MEMBERS = frozenset(Document.model_fields) - _INTERNAL
_SUFFIXED = ("body_", "description_", "headline_")
# AP's members beyond ninjs: not counted as unknown, but not read.
_AP_ONLY = frozenset({
    "audiences", "datelinelocation", "editorialpriority", "editorialrole", "editorialtypes",
    "fixture", "foreignkeys", "keywords", "links", "outcue", "photographer", "producer",
    "provider", "textformat",
})  # fmt: skip


def read(tree: Tree) -> tuple[Document, Mapping[str, str], tuple[str, ...]]:
    """Return the document's known members; each member's name in the model -> its spelling in the
    document; and the names of the members that ninjs doesn't know.

    Raises DocumentError for a member of a wrong type, for one that appears in two spellings, and if
    there is no `uri`. A member that is null counts as absent.
    """
    members, written, unknown = names(tree)
    try:
        return Document.model_validate(members), written, unknown
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = _written_path(first["loc"], written)
        if first["type"] == "missing" and field == "uri":
            raise DocumentError("uri is missing", field=field) from error
        raise DocumentError(f"wrong type: {first['msg']}", field=field) from error


def names(tree: Tree) -> tuple[Tree, dict[str, str], tuple[str, ...]]:
    """Return the members by the model's names, the spelling of each, and the unknown members'
    names.
    """
    members: Tree = {}
    written: dict[str, str] = {}
    unknown: list[str] = []
    suffixed: dict[str, Any] = {}
    for spelling, value in tree.items():
        name = spelling.lower().removeprefix("$")
        if name.startswith(_SUFFIXED):
            if value is not None:
                suffixed[spelling] = value
        elif name not in _MEMBERS:
            if name not in _AP_ONLY:
                unknown.append(spelling)
        elif value is not None:
            if isinstance(value, _ARRAY_OR_OBJECT.get(name, ())):
                name += "_array" if isinstance(value, list) else "_object"
            if name in written:
                raise DocumentError(f"the member {name} is there twice", field=spelling)
            members[name], written[name] = value, spelling
    if suffixed:
        members["suffixed"] = suffixed
    return members, written, tuple(unknown)


def _written_path(loc: tuple[int | str, ...], written: Mapping[str, str]) -> str:
    """Return the place of a pydantic error in the document's own spelling."""
    if loc[0] == "suffixed":
        loc = loc[1:]
    head = str(loc[0])
    return json_tree.path((written.get(head, head), *loc[1:]))
