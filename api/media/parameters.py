"""The parameters of AP's operations, with AP's limits. An unknown parameter is an error. Items and
downloads are the exception: clients add parameters of their own to these addresses.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from api.search.parameters import WHAT_TO_EXCLUDE, WHAT_TO_INCLUDE, MemberNames, Values
from core.retrieval import SortOrder
from search.answers import MAX_PAGE, MAX_QUERY_CHARACTERS

PAGE_SIZE, MAX_PAGE_SIZE = 10, 100
LABEL = r"^[a-zA-Z0-9_. -]*$"
_TOKEN_CHARACTERS = 512
_TEXTS = ("nitf", "plain", "anpa")


def _order(text: str) -> str:
    """Return `name:direction` without the blanks that AP's own examples have. Raises ValueError."""
    plain = re.sub(r"\s+", "", text).lower()
    known = [order.value for order in SortOrder]
    if plain not in known:
        raise ValueError(f"'{text[:40]}' is no order; the orders are {', '.join(known)}")
    return plain


def _truth(value: Any) -> Any:
    """Return True and false, as the contract has them. Raises ValueError."""
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError(f"'{value[:40]}' is neither true nor false")
    return value


Truth = Annotated[bool, BeforeValidator(_truth)]
Order = Annotated[str, AfterValidator(_order)]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)]
Label = Annotated[str, Field(min_length=1, max_length=48, pattern=LABEL)]
Token = Annotated[str, Field(max_length=_TOKEN_CHARACTERS)]


class Fields(BaseModel):
    """Which members of items an answer has."""

    model_config = ConfigDict(extra="forbid")

    include: MemberNames = Field(default_factory=list, description=WHAT_TO_INCLUDE)
    exclude: MemberNames = Field(default_factory=list, description=WHAT_TO_EXCLUDE)
    view: Values = Field(
        default_factory=list, description="Names of views; there are none here, so any is ignored."
    )
    text_links: Literal["all", "*", "anpa", "nitf", "plain"] = Field(
        default="all", description="The renditions of texts: all (*), nitf, plain, anpa."
    )

    @model_validator(mode="after")
    def _without_other_texts(self) -> Self:
        """Leave out the renditions of texts that `text_links` does not name."""
        if self.text_links not in ("all", "*"):
            others = (form for form in _TEXTS if form != self.text_links)
            self.exclude = [*self.exclude, *(f"renditions.{form}" for form in others)]
        return self


class Priced(Fields):
    """What an answer says of prices."""

    pricing: Truth = Field(default=False, description="true: also the price, in meta.pricing.")
    in_my_plan: Truth = Field(
        default=False, description="true: only what costs nothing beyond the account's plans."
    )
    versions: Literal["latest", "all"] = Field(
        default="latest", description="all: also earlier versions; latest: only the newest."
    )


class SearchAsked(Priced):
    """What `GET /media/v/content/search` takes."""

    q: str = Field(
        default="",
        max_length=MAX_QUERY_CHARACTERS,
        description="The query: words, phrases, AND, OR, NOT, field:value.",
    )
    sort: Order = Field(
        default=SortOrder.SCORE.value,
        description="The order: _score:desc, versioncreated:desc or versioncreated:asc.",
    )
    page: int = Field(default=1, ge=1, le=MAX_PAGE, description="The page, from 1.")
    page_size: PageSize = Field(default=PAGE_SIZE, description="Items per page, 1 to 100.")
    session_label: Label | None = Field(default=None, description="A label that comes back.")
    qt: Token = Field(default="", description="The list that a next_page goes on with.")


class ItemAsked(Priced):
    """What `GET /media/v/content/{item_id}` takes; any other parameter is ignored."""

    model_config = ConfigDict(extra="ignore")

    format: str = Field(default="json", max_length=20, description="json, ninjs, nitf or text.")


class DownloadAsked(BaseModel):
    """What `GET /media/v/content/{item_id}/download` takes; any other parameter is ignored."""

    model_config = ConfigDict(extra="ignore")

    rid: str = Field(default="", max_length=100, description="The rendition, by its name.")
    type: str = Field(default="", max_length=20, description="AP's type of the rendition.")
    format: str = Field(default="", max_length=20, description="AP's format, such as NITF.")
    price: str = Field(
        default="",
        pattern=r"^(\d{1,9}(\.\d{1,4})?)?$",
        description="The price that you acknowledge.",
    )
    currency: str = Field(default="", max_length=3, description="Its currency.")
