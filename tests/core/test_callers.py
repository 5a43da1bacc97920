"""Who asks: what makes two callers the same, and what they may write."""

from __future__ import annotations

from core.callers import EVERY_PRODUCT, NOBODY, OPERATOR, Caller, covers
from core.limits import Share

DESK = Caller("desk", frozenset({"wire"}), writes=frozenset({"Wire", "photos"}))


def test_a_caller_with_another_share_of_the_service_is_the_same_caller() -> None:
    """A cursor goes on for a key whose limits were changed."""
    assert Caller("a", frozenset(), share=Share(rate=1.0)) == Caller("a", frozenset())
    assert Caller("a", frozenset()) != Caller("b", frozenset())


def test_who_may_write() -> None:
    assert [one.may_write for one in (NOBODY, DESK, OPERATOR)] == [False, True, True]
    assert OPERATOR.account == "operator"


def test_a_put_needs_all_products_of_an_item() -> None:
    assert covers(DESK.writes, ["WIRE"])
    assert not covers(DESK.writes, ["wire", "sport"])
    assert not covers(DESK.writes, [])
    assert covers(EVERY_PRODUCT, [])
