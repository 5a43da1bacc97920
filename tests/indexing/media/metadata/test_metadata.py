"""Embedded descriptions as members of ninjs: which standard wins, and what can't be read."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.errors import MediaError
from core.media import MediaFacts, MediaKind
from indexing.media.inside.tags import picture_tags
from indexing.media.metadata.properties import embedded_tree, tree_of_packet
from indexing.media.metadata.xmp import read_xmp
from tests.indexing.media.metadata.described_media import alt, bag, jpeg, packet

DESCRIPTION, ARTIST, COPYRIGHT, TAKEN = 0x10E, 0x13B, 0x8298, 0x9003


def tree_of(tags: dict[str, Any]) -> dict[str, Any]:
    tree, _ = embedded_tree(MediaFacts(MediaKind.PICTURE, "image/jpeg", "jpeg", 64, 48, tags=tags))
    return tree


def tree_of_file(data: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(data)) as image:
        return tree_of(picture_tags(image, []))


def test_a_real_file_gives_each_property_from_the_first_standard_that_has_it() -> None:
    data = jpeg(
        xmp=packet(alt("dc:description", "Von XMP", "Deutsch") + bag("dc:subject", "ferry")),
        iptc={120: "From IIM", 105: "Headline of IIM", 90: "Porto", 101: "Portugal", 100: "PRT"},
        exif={DESCRIPTION: "From EXIF", ARTIST: "Ana Reyes", COPYRIGHT: "2024 Agency"},
    )
    tree = tree_of_file(data)
    assert tree["description_caption"] == "Von XMP"
    assert tree["headline"] == "Headline of IIM"
    assert tree["byline"] == "Ana Reyes"
    assert tree["copyrightnotice"] == "2024 Agency"
    assert tree["located"] == "Porto, Portugal"
    assert tree["place"] == [{"name": "Porto"}, {"name": "Portugal", "code": "PRT"}]
    assert tree["keywords"] == ["ferry"]


@pytest.mark.parametrize(
    ("standards", "winner"),
    [("xmp iptc exif", "xmp"), ("iptc exif", "iptc"), ("exif", "exif"), ("", None)],
)
def test_xmp_before_iim_before_exif(standards: str, winner: str | None) -> None:
    tags: dict[str, Any] = {
        "xmp": packet(alt("dc:description", "xmp")),
        "iptc": {"Caption-Abstract": "iptc"},
        "exif": {"ImageDescription": "exif"},
    }
    tree = tree_of({name: tags[name] for name in standards.split()})
    assert tree.get("description_caption") == winner


def test_an_empty_property_does_not_hide_the_next_standards() -> None:
    tags = {
        "xmp": packet(alt("dc:description", "  ")),
        "iptc": {"Caption-Abstract": ["", " \0"]},
        "exif": {"ImageDescription": "Ferry"},
    }
    assert tree_of(tags)["description_caption"] == "Ferry"


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "Created with GIMP"])
def test_what_a_camera_writes_is_no_description(text: str) -> None:
    assert "description_caption" not in tree_of({"exif": {"ImageDescription": text}})


def test_persons_places_subjects_and_rights() -> None:
    inner = (
        bag("ext:PersonInImage", "Ana Reyes", "Jo Silva")
        + "<ext:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        + alt("ext:PersonName", "Ana Reyes")
        + bag("ext:PersonId", "http://www.wikidata.org/entity/Q1")
        + "</rdf:li></rdf:Bag></ext:PersonInImageWDetails>"
        + "<ext:LocationShown><rdf:Bag><rdf:li><rdf:Description ext:City='Lisboa'"
        + " ext:CountryName='Portugal' ext:CountryCode='PT'/></rdf:li></rdf:Bag>"
        + "</ext:LocationShown>"
        + bag("ext:OrganisationInImageName", "Harbour Board")
        + "<ext:AboutCvTerm><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        + alt("ext:CvTermName", "shipping")
        + "<ext:CvTermId>medtop:20000274</ext:CvTermId></rdf:li></rdf:Bag></ext:AboutCvTerm>"
        + bag("dc:creator", "B. Foto", "C. Foto", kind="Seq")
        + alt("rights:UsageTerms", "Editorial use only")
        + "<plus:DataMining rdf:resource='http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED'/>"
        + "<ext:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
        + "</ext:DigitalSourceType>"
    )
    tree = tree_of(
        {
            "xmp": packet(
                inner, 'photoshop:City="Porto" photoshop:Credit="Agency" photoshop:Urgency="4"'
            )
        }
    )
    assert tree["person"] == [
        {"name": "Ana Reyes", "code": "http://www.wikidata.org/entity/Q1"},
        {"name": "Jo Silva"},
    ]
    assert tree["place"] == [
        {"name": "Porto"},
        {"name": "Lisboa"},
        {"name": "Portugal", "code": "PT"},
    ]
    assert tree["organisation"] == [{"name": "Harbour Board"}]
    assert tree["subject"] == [{"name": "shipping", "code": "medtop:20000274"}]
    assert (tree["byline"], tree["creditline"]) == ("B. Foto, C. Foto", "Agency")
    assert (tree["usageterms"], tree["urgency"]) == ("Editorial use only", 4)
    assert tree["digitalsourcetype"]["name"] == "digitalCapture"
    assert tree["embedded_rights"] == {
        "UsageTerms": ["Editorial use only"],
        "DataMining": ["http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"],
    }


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ({"exif": {"DateTimeOriginal": "2024:03:05 07:30:00"}}, "2024-03-05T07:30:00"),
        (
            {"exif": {"DateTimeOriginal": "2024:03:05 07:30:00", "OffsetTimeOriginal": "+01:00"}},
            "2024-03-05T07:30:00+01:00",
        ),
        (
            {"iptc": {"DateCreated": "20240305", "TimeCreated": "073000+0100"}},
            "2024-03-05T07:30:00+0100",
        ),
        ({"iptc": {"DateCreated": "20240305"}}, "2024-03-05"),
        ({"container": {"creation_time": "2024-03-05T07:30:00Z"}}, "2024-03-05T07:30:00Z"),
        ({"exif": {"DateTimeOriginal": "0000:00:00 00:00:00"}}, None),
        ({"container": {"creation_time": "1904-01-01T00:00:00.000000Z"}}, None),
        ({"exif": {"DateTimeOriginal": "2024:13:45 07:30:00"}}, None),
    ],
)
def test_dates_of_each_standard(tags: dict[str, Any], wanted: str | None) -> None:
    assert tree_of(tags).get("firstcreated") == wanted


def test_a_videos_container_is_read_last() -> None:
    tags = {
        "container": {
            "title": "Ferry",
            "comment": "Leaves at dawn",
            "artist": "Ana",
            "encoder": "Lavf",
        }
    }
    tree = tree_of(tags)
    assert (tree["title"], tree["description_caption"], tree["byline"]) == (
        "Ferry",
        "Leaves at dawn",
        "Ana",
    )


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    "<x>&b;</x>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x>&e;</x>'


@pytest.mark.parametrize(
    "broken",
    ["<x>", "no xml", BILLION, OUTSIDE, "<x/>" + " " * 2**20, "<x>" + "<y/>" * 30_000 + "</x>"],
)
def test_a_packet_that_is_none_is_noted_and_the_rest_is_read(broken: str) -> None:
    with pytest.raises(MediaError):
        read_xmp(broken)
    facts = MediaFacts(
        MediaKind.PICTURE,
        "image/jpeg",
        "jpeg",
        1,
        1,
        tags={"xmp": broken, "iptc": {"Headline": "Ferry"}},
    )
    tree, notes = embedded_tree(facts)
    assert tree["headline"] == "Ferry"
    assert any("XMP" in note for note in notes)


@pytest.mark.timed
def test_a_deep_packet_is_refused_without_recursion_to_the_end() -> None:
    deep = (
        "<rdf:li>" + "<rdf:Bag><rdf:li>" * 4_000 + "x" + "</rdf:li></rdf:Bag>" * 4_000 + "</rdf:li>"
    )
    started = time.process_time()
    with pytest.raises(MediaError, match="levels deep"):
        read_xmp(packet(f"<dc:subject><rdf:Bag>{deep}</rdf:Bag></dc:subject>"))
    assert time.process_time() - started < 2


@given(
    st.dictionaries(
        st.sampled_from(["exif", "iptc", "container", "xmp"]),
        st.one_of(
            st.text(max_size=50),
            st.none(),
            st.dictionaries(
                st.sampled_from(
                    ["ImageDescription", "Caption-Abstract", "DateCreated", "Keywords", "Urgency"]
                ),
                st.one_of(
                    st.text(max_size=30),
                    st.integers(),
                    st.lists(st.text(max_size=9), max_size=3),
                    st.none(),
                ),
            ),
        ),
    )
)
def test_any_tags_give_a_tree_or_notes(tags: dict[str, Any]) -> None:
    assert all(value for value in tree_of(tags).values())


def test_a_sidecar_packet_alone() -> None:
    assert tree_of_packet(packet(alt("dc:title", "Ferry"))) == {"title": "Ferry"}
