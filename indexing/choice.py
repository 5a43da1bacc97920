"""Which of a document's texts is the headline, the description and the body.

ninjs 1.x has members such as `body_text` and `description_caption`, 2.x and later arrays of values
with a role and a content type. Both become `Offer`s; the one of the lowest rank that has text wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.errors import DocumentError
from indexing import texts
from indexing.boundary import Document, Value

_MARKUP = ("html", "xml", "nitf")
_DESCRIPTIONS = ("caption", "text", "", "summary", "lead", "abstract")
_NO_DESCRIPTION = frozenset({"creditline", "credit", "writer", "captionwriter", "editornotes"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate text with its use (`role`, lower case) and its format (`kind`)."""

    role: str
    kind: str
    value: str

    def is_markup(self) -> bool:
        """Return whether its role or its content type is HTML or XML."""
        return any(sign in self.role + self.kind for sign in _MARKUP)

    def text(self) -> str:
        """Return its text, without markup."""
        return texts.strip_markup(self.value) if self.is_markup() else self.value.strip()


def headline(members: Document) -> str:
    """Return `headline`, else the main one of `headlines`, else another one, else the title."""
    own = Offer("", "", members.headline)
    offers = (own, *_offers("headline_", members, members.headlines))
    return _best("headline", offers, lambda offer: offer.role not in ("main", "")) or members.title


def description(members: Document) -> str:
    """Return the caption, else the text, else the summary, else any other that is not a credit."""
    offers = _offers("description_", members, members.descriptions)
    fitting = (offer for offer in offers if _base(offer.role) not in _NO_DESCRIPTION)
    return _best("description", fitting, _description_rank)


def body(members: Document) -> str:
    """Return the plain text, else the text of the HTML, else of the XML."""
    return _best("body", _offers("body_", members, members.bodies), _body_rank)


def _offers(prefix: str, members: Document, values: Sequence[Value]) -> Iterator[Offer]:
    for name, value in members.suffixed.items():
        if name.lower().startswith(prefix):
            yield Offer(name.lower().removeprefix(prefix), "", value)
    for entry in values:
        role = (entry.role or "").lower()
        yield Offer(role, (entry.contenttype or "").lower(), entry.value or "")


def _best(field: str, offers: Iterable[Offer], rank: Callable[[Offer], float]) -> str:
    ranked = sorted(offers, key=rank)
    if sum(offer.value.count("<") for offer in ranked if offer.is_markup()) > texts.MAX_TAGS:
        raise DocumentError(f"markup too large: over {texts.MAX_TAGS} tags", field=field)
    return next((text for offer in ranked if (text := offer.text())), "")


def _base(role: str) -> str:
    """Return `caption` for `caption_xhtml`; a role that only names a format is `text`."""
    base = role.split("_")[0]
    return "text" if base in ("html", "xhtml", "html5", "xml") else base


def _description_rank(offer: Offer) -> float:
    base = _base(offer.role)
    place = _DESCRIPTIONS.index(base) if base in _DESCRIPTIONS else len(_DESCRIPTIONS)
    return place + 0.5 * offer.is_markup()


def _body_rank(offer: Offer) -> float:
    if offer.is_markup():
        return 1 if "html" in offer.role + offer.kind else 3
    return 0 if offer.role in ("", "text", "main") or offer.kind == "text/plain" else 2
