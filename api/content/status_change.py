"""The body of `PATCH /content/{item_id}/status`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from api.search.parameters import read_time
from core.items import PubStatus
from core.writes import SetStatus
from indexing.fields import identifier

MOST_REASON = 500  # characters


def _time(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("must be a time as text, or null")
    return read_time(value, end=False)


def one_line(text: str) -> str:
    """Return a text as one line of characters that print."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


Reason = Annotated[str, Field(max_length=MOST_REASON), AfterValidator(one_line)]


class StatusChange(BaseModel):
    """A new status, a new embargo, or both; `embargoed: null` lifts an embargo."""

    model_config = ConfigDict(extra="forbid")

    pubstatus: PubStatus | None = Field(
        default=None, description=f"The new status: {', '.join(PubStatus)}."
    )
    embargoed: Annotated[datetime | None, BeforeValidator(_time)] = Field(
        default=None,
        description="Hidden until this time (RFC 3339 with a zone); null lifts the embargo.",
    )
    reason: Reason = Field(
        default="", description="Why, for the audit log. It may follow later, with the same change."
    )

    @model_validator(mode="after")
    def _says_something(self) -> StatusChange:
        if self.pubstatus is None and "embargoed" not in self.model_fields_set:
            raise ValueError("needs pubstatus, embargoed or both")
        return self


def status_write(uri: str, change: StatusChange) -> SetStatus:
    """Return the write. Without `embargoed` the embargo stays as it is. Raises DocumentError for a
    uri that no item can have, because nothing can be held under it.
    """
    return SetStatus(
        identifier(uri, "uri"),
        change.pubstatus,
        change.embargoed,
        lift_embargo="embargoed" in change.model_fields_set and change.embargoed is None,
        reason=change.reason,
    )
