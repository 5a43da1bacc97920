"""What a document says about rights, and the words that it is rated with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.ninjs import Checked, read_bytes
from indexing.rights import MAX_WORD, MAX_WORDS, rights_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODRL = "http://www.w3.org/ns/odrl/2/"

TERMS = {
    "": "",
    "All rights reserved.": "",
    "Copyright 2026 The Agency": "",
    "(c) The Agency": "",
    "World rights": "",
    "Editorial use only": "editorial",
    "FOR EDITORIAL USE ONLY!": "editorial",
    "This content is intended for editorial use only. For other uses, additional clearances may be"
    " required.": "editorial",
    "This content is intended for editorial use only. International: clients only | US: clients"
    " only / This video may not be edited": "editorial restricted",
    "Editorial use only in Germany": "editorial restricted",
    "No sales": "restricted",
    "*** World Rights Except Italy ***": "restricted",
    "Mandatory credit: A. Lee": "restricted",
    "Nur redaktionelle Nutzung": "restricted",  # not read, so the strictest
    "No restrictions": "commercial",
    "Royalty-free": "commercial",
    "Public domain": "commercial",
    "CC0 1.0: no rights reserved.": "commercial",
    "CC0 1.0, but no rights to the name": "restricted",
    "No restrictions. Not for use before 6 June": "restricted",
    "No restrictions apply\nEditorial use only": "editorial",
    "No restrictions except Italy": "restricted",
    "https://creativecommons.org/publicdomain/zero/1.0/": "commercial",
    "Licence: https://creativecommons.org/licenses/by-sa/4.0/deed.de": "restricted",
    "https://creativecommons.org/licenses/by/4.0/": "commercial",
    "https://creativecommons.org/licenses/by-nc/4.0/": "editorial",
    "https://creativecommons.org/licenses/by-nd/2.0/": "restricted",
    "see https://example.agency.com/terms.html": "restricted",
}


def read(**members: Any) -> Checked:
    document = {"uri": "urn:x:1", "products": ["wire"], **members}
    return read_bytes(json.dumps(document).encode(), lambda: NOW)


def rated(**members: Any) -> str:
    return " ".join(read(**members).item.rights)


@pytest.mark.parametrize(("terms", "expected"), TERMS.items())
def test_usage_terms(terms: str, expected: str) -> None:
    assert rated(usageterms=terms) == expected


def test_terms_of_several_lines_are_read_one_by_one() -> None:
    assert rated(usageterms=["Editorial use only", "No archive"]) == "editorial restricted"
    assert rated(usageTerms="Editorial use only") == "editorial"


@pytest.mark.parametrize(
    ("link", "expected"),
    {
        "http://example.agency.com/rights/editorialUseOnly": "editorial",
        "http://example.agency.com/rights/editorial-use-only/": "editorial",
        "http://example.agency.com/rights/unrestricted?v=2": "commercial",
        "http://example.agency.com/contract/4711": "restricted",
        "https://creativecommons.org/licenses/by/4.0/": "commercial",
    }.items(),
)
@pytest.mark.parametrize("spelling", ["rightsinfo.linkedrights", "rightsInfo.linkedRights"])
def test_linked_rights(spelling: str, link: str, expected: str) -> None:
    outer, inner = spelling.split(".")
    assert rated(**{outer: {"langid": ODRL, inner: link}}) == expected


def policy(**rules: Any) -> dict[str, Any]:
    return {"rightsInfo": {"langId": ODRL, "encodedRights": json.dumps(rules)}}


POLICIES = {
    "editorial": {"prohibitions": [{"action": f"{ODRL}commercialize", "target": "urn:x:1"}]},
    "editorial restricted": {
        "prohibition": [{"action": "odrl:commercialize"}, {"action": "odrl:archive"}]
    },
    "commercial": {"permission": {"action": "use"}, "obligation": [{"action": "attribute"}]},
    "restricted": {"permission": [{"action": "use", "constraint": [{"leftOperand": "spatial"}]}]},
}


@pytest.mark.parametrize(("expected", "rules"), POLICIES.items())
def test_encoded_rights(expected: str, rules: dict[str, Any]) -> None:
    assert rated(**policy(**rules)) == expected


def test_a_policy_in_another_language_is_for_people() -> None:
    assert rated(rightsinfo={"encodedrights": "<o-ex:rights/>"}) == "restricted"
    assert rated(rightsinfo={"encodedrights": "[1]"}) == "restricted"
    assert rated(rightsinfo={"encodedrights": "[" * 100_000}) == "restricted"


def test_a_duty_of_a_permission_or_another_action_narrows() -> None:
    assert rated(**policy(permission=[{"action": "use", "duty": [{"action": "pay"}]}])) == (
        "restricted"
    )
    assert rated(**policy(permission=[{"action": "print"}])) == "restricted"
    assert rated(**policy(duty=[{"action": "delete"}])) == "restricted"


def test_signals_of_the_wholly_owned_stand_beside_the_rest() -> None:
    assert rated(signals=["newscontent", "APWhollyOwned"]) == "owned"
    assert rated(signals=["APWhollyOwned"], usageterms="Editorial use only") == "editorial owned"
    assert rated(signals=[{"code": "APWhollyOwned"}]) == ""


def test_the_agencys_own_words_replace_the_rating() -> None:
    assert rated(rights="A-list", usageterms="No sales") == "A-list"
    assert read(rights=["Level 1", "", " Level  1 ", "web"]).item.rights == ("Level 1", "web")
    assert rated(rights=[], usageterms="No sales") == "restricted"


def test_a_member_of_that_name_and_another_shape_is_no_error() -> None:
    for strange in ({"holder": "x"}, 7, [{"code": "a"}], ["a", 1]):
        checked = read(rights=strange, usageterms="Editorial use only")
        assert checked.item.rights == ("editorial",)
        assert any("rights" in warning for warning in checked.warnings)
        assert checked.item.source["rights"] == strange


def test_own_words_are_limited_in_number_and_length() -> None:
    found = read(rights=[f"{n} " + "x" * 500 for n in range(1000)]).item.rights
    assert len(found) == MAX_WORDS
    assert all(len(word) <= MAX_WORD for word in found)


@given(st.lists(st.sampled_from(tuple(TERMS)), max_size=4), st.text(max_size=40))
def test_more_terms_never_make_a_rating_laxer(terms: list[str], more: str) -> None:
    whole = set(rights_of("\n".join([*terms, more])))
    strict = {word for part in [*terms, more] for word in rights_of(part)} - {"commercial"}
    assert strict <= whole
    assert "commercial" not in whole or whole == {"commercial"}


def test_what_can_t_be_made_out_narrows() -> None:
    assert rated(usageterms="No restrictions. © The Agency, no sales, no archive") == "restricted"
    assert rated(usageterms="© The Agency - editorial use only, no sales") != ""
    ways = [{"permission": [{"action": "use"}], "prohibition": "commercialize"}, {"@graph": []}]
    for rules in ways:
        assert rated(usageterms="No restrictions", **policy(**rules)) != "commercial"
    linked = {"linkedrights": ["https://creativecommons.org/licenses/by-nc-nd/4.0/"]}
    assert rated(rightsinfo=linked) == "restricted"
