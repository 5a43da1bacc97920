"""Whether an asset may go to a provider: what metadata and documents say to machines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.items import PubStatus
from indexing.captions.rights import LONGEST_PACKET, may_leave, may_leave_as_recorded
from tests.storage.world import make_item

PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(inner: str = "", attribute: str = "") -> str:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{RDF}" xmlns:plus="{PLUS}" xmlns:tdm="http://www.w3.org/ns/tdmrep/">'
        f'<rdf:Description rdf:about="" {attribute}>{inner}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


FORMS = {
    "attribute": lambda word: packet(attribute=f'plus:DataMining="{VOCABULARY}{word}"'),
    "text": lambda word: packet(f"<plus:DataMining>{VOCABULARY}{word}</plus:DataMining>"),
    "resource": lambda word: packet(f'<plus:DataMining rdf:resource="{VOCABULARY}{word}"/>'),
    "bare": lambda word: packet(f"<plus:DataMining> {word} </plus:DataMining>"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("word", "unless_forbidden", "only_allowed"),
    [
        ("DMI-ALLOWED", True, True),
        ("DMI-UNSPECIFIED", True, False),
        ("DMI-PROHIBITED", False, False),
        ("DMI-PROHIBITED-AIMLTRAINING", False, False),
        ("DMI-PROHIBITED-GENAIMLTRAINING", False, False),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", False, False),
        ("DMI-PROHIBITED-SEECONSTRAINT", False, False),
        ("DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", False, False),
        ("DMI-SOMETHING-NEW", False, False),
    ],
)
def test_data_mining(form: str, word: str, unless_forbidden: bool, only_allowed: bool) -> None:
    found = FORMS[form](word)
    assert may_leave([found], [], "unless_forbidden") is unless_forbidden
    assert may_leave([found], [], "only_allowed") is only_allowed


@pytest.mark.parametrize(
    ("value", "allowed"), [("0", True), ("1", False), ("", False), ("yes", False)]
)
def test_a_reservation_of_text_and_data_mining(value: str, allowed: bool) -> None:
    assert may_leave([packet(attribute=f'tdm:reservation="{value}"')], []) is allowed


@pytest.mark.parametrize(
    ("document", "unless_forbidden", "only_allowed"),
    [
        ({}, True, False),
        ({"usageterms": "No AI, ever"}, True, False),  # prose is not read
        ({"external_processing": True}, True, True),
        ({"external_processing": False}, False, False),
        ({"external_processing": None}, False, False),
        ({"external_processing": "true"}, False, False),
        ({"external_processing": 1}, False, False),
    ],
)
def test_the_document_s_own_member(
    document: dict[str, Any], unless_forbidden: bool, only_allowed: bool
) -> None:
    assert may_leave([], [document]) is unless_forbidden
    assert may_leave([], [document], "only_allowed") is only_allowed


def test_one_prohibition_outweighs_every_permission() -> None:
    allowed, forbidden = FORMS["text"]("DMI-ALLOWED"), FORMS["text"]("DMI-PROHIBITED")
    assert may_leave([allowed], [{"external_processing": True}])
    assert not may_leave([allowed, forbidden], [])
    assert not may_leave([allowed], [{"external_processing": True}, {"external_processing": False}])
    assert not may_leave([forbidden], [{"external_processing": True}], "only_allowed")


def test_two_statements_in_one_packet() -> None:
    both = packet(
        f"<plus:DataMining>{VOCABULARY}DMI-ALLOWED</plus:DataMining>",
        attribute=f'plus:DataMining="{VOCABULARY}DMI-PROHIBITED"',
    )
    assert not may_leave([both], [])


@pytest.mark.parametrize(
    "unreadable",
    [
        "<x:xmpmeta",
        packet()[:-40] + "<",
        "no XML at all",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        "<a>" + " " * LONGEST_PACKET + "</a>",
    ],
)
def test_what_can_not_be_read_forbids(unreadable: str) -> None:
    assert not may_leave([unreadable], [])
    assert not may_leave([unreadable], [{"external_processing": True}])


@pytest.mark.parametrize("nothing", ["", " \n", packet(), "<a/>"])
def test_metadata_without_a_word_about_it_says_nothing(nothing: str) -> None:
    assert may_leave([nothing], [])
    assert not may_leave([nothing], [], "only_allowed")


@pytest.mark.parametrize(
    ("source", "unless_forbidden", "only_allowed"),
    [
        ({}, True, False),
        ({"external_processing": True}, True, True),
        ({"external_processing": False}, False, False),
        ({"external_processing": "true"}, False, False),
        ({"embedded_rights": {"UsageTerms": ["Do not use"]}}, True, False),
        ({"embedded_rights": {"DataMining": ["http://x/DMI-ALLOWED"]}}, True, True),
        ({"embedded_rights": {"DataMining": ["http://x/DMI-UNSPECIFIED"]}}, True, False),
        ({"embedded_rights": {"DataMining": ["DMI-PROHIBITED"]}}, False, False),
        ({"embedded_rights": {"DataMining": ["DMI-ALLOWED", "new words"]}}, False, False),
        ({"embedded_rights": {"TDMReservation": ["1"]}}, False, False),
        ({"embedded_rights": {"TDMReservation": ["0"]}}, True, True),
        ({"embedded_rights": {"TDMReservation": {"value": "0"}}}, False, False),
        ({"embedded_rights": "none"}, False, False),
        (
            {"external_processing": True, "embedded_rights": {"TDMReservation": ["1"]}},
            False,
            False,
        ),
    ],
)
def test_what_is_recorded_says_the_same(
    source: dict[str, Any], unless_forbidden: bool, only_allowed: bool
) -> None:
    item = make_item("urn:a", source=source)
    assert may_leave_as_recorded(item, "unless_forbidden") is unless_forbidden
    assert may_leave_as_recorded(item, "only_allowed") is only_allowed
    for held in (PubStatus.CANCELED, PubStatus.WITHHELD):
        assert not may_leave_as_recorded(replace(item, pubstatus=held), "unless_forbidden")
    embargoed = replace(item, embargoed=datetime(2999, 1, 1, tzinfo=UTC))
    assert may_leave_as_recorded(embargoed, "unless_forbidden") is unless_forbidden
