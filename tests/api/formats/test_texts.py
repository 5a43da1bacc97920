"""NITF and plain text of a story: its paragraphs, lists, links and tables, and nothing hidden."""

from __future__ import annotations

from dataclasses import replace
from time import process_time
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from api.formats.markup import addresses_in, clean_text, safe_markup
from api.formats.ninjs import ninjs
from api.formats.renditions import text_rendition
from core.errors import DocumentError
from core.items import Item, PubStatus
from indexing.formats import xml_documents, xml_tree
from tests.api.formats.answers import READER, item_of, newsroom

STORY: dict[str, Any] = {
    "uri": "urn:news:ferry",
    "version": 3,
    "headline": "Ferry <freed> & afloat",
    "slugline": "ferry-freed",
    "byline": "Ana Reyes",
    "located": "OSLO",
    "urgency": 3,
    "versioncreated": "2026-02-01T10:00:00Z",
    "person": [{"name": "Ana Reyes"}],
    "place": [{"name": "Oslo"}],
    "body_xhtml": (
        "<p>It <b>moved</b> at <a href='https://port.example/?a=1&amp;b=2'>noon</a>.</p>"
        "<h2>Numbers</h2><ul><li>12 men</li><li>3 <i>tugs</i></li></ul>"
        "<table><tr><th>Tug</th><td>Odin</td></tr></table>"
        "<div><script>alert(1)</script>Loose <em>words</em></div>"
        "<blockquote><p>Free.</p></blockquote>"
    ),
}
BLOCK = (
    '<block id="Main"><p>It <em class="bold">moved</em> at '
    '<a href="https://port.example/?a=1&amp;b=2">noon</a>.</p>'
    '<hl2>Numbers</hl2><ul><li>12 men</li><li>3 <em class="italic">tugs</em></li></ul>'
    "<table><tr><th>Tug</th><td>Odin</td></tr></table>"
    "<p>Loose <em>words</em></p>"
    "<bq><block><p>Free.</p></block></bq></block>"
)
PLAIN = """\
Ferry <freed> & afloat

Ana Reyes

OSLO

It moved at noon.

Numbers

- 12 men
- 3 tugs

Tug\tOdin

Loose words

Free.
"""


def told(form: str, document: dict[str, Any] | Item, *others: Item) -> str:
    item = document if isinstance(document, Item) else item_of(document)
    return text_rendition(form, item, READER, newsroom(item, *others)).decode()


def test_a_story_as_nitf() -> None:
    text = told("nitf", STORY)
    assert BLOCK in text
    root = fromstring(text)
    assert root.get("version") == "-//IPTC//DTD NITF 3.6//EN"
    assert root.findtext("body/body.head/hedline/hl1[@id='headline']") == "Ferry <freed> & afloat"
    assert root.findtext("body/body.head/byline") == "Ana Reyes"
    assert root.findtext("body/body.head/dateline/location") == "OSLO"
    data = root.find("head/docdata")
    assert data is not None
    assert data.find("date.issue").get("norm") == "20260201T100000Z"
    assert data.find("urgency").get("ed-urg") == "3"
    assert data.find("du-key").get("key") == "ferry-freed"
    assert [name.text for name in data.find("identified-content")] == ["Ana Reyes", "Oslo"]


def test_a_story_as_plain_text() -> None:
    assert told("plain", STORY) == PLAIN


def paragraphs(document: dict[str, Any]) -> list[str]:
    root = fromstring(told("nitf", document))
    return ["".join(p.itertext()) for p in root.findall("body/body.content/block/p")]


def test_a_plain_body_gets_paragraphs() -> None:
    plain = {"uri": "urn:n", "headline": "F", "body_text": "One <b>.\nStill one.\n\nTwo & three."}
    assert paragraphs(plain) == ["One <b>.Still one.", "Two & three."]


def test_markup_with_less_text_than_the_body_is_not_taken() -> None:
    both = {"uri": "urn:n", "body_text": "All of the story, to its end.", "body_html": "<p>All</p>"}
    assert paragraphs(both) == ["All of the story, to its end."]


@pytest.mark.parametrize("levels", [50, 100, 240, 5000])
@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "ul><li", "table><tr><td"])
def test_markup_that_is_nested_deeply_loses_no_words(tag: str, levels: int) -> None:
    deep = {"uri": "urn:n", "body_html": f"<{tag}>" * levels + "Deep words"}
    root = fromstring(told("nitf", deep))
    assert "".join(root.find("body/body.content").itertext()) == "Deep words"
    assert "Deep words" in told("plain", deep)


@pytest.mark.timed
@pytest.mark.parametrize(
    "markup",
    [
        "<p>" + "<span>x</span> " * 49_000,
        "<b>" * 50 + "<i></i>" * 40_000 + "<p>x</p>",
        "<script></script>x" * 45_000,
        "<a href='https://x.example/'>x</a>" * 45_000,
        "<p " + "a=1 " * 200_000 + ">x",
        "<a " * 99_000,
    ],
    ids=["spans", "deep", "scripts", "links", "attributes", "unfinished"],
)
def test_hostile_markup_takes_little_time(markup: str) -> None:
    item = item_of({"uri": "urn:n", "body_html": markup})
    before = process_time()
    told("nitf", item)
    told("plain", item)
    ninjs(item, READER, newsroom(item))
    assert process_time() - before < 10


def test_nitf_in_gives_nitf_out() -> None:
    body = (
        "<nitf><body><body.head><hedline><hl1>Head</hl1></hedline></body.head>"
        "<body.content><p>One.</p><block><p>Two.</p></block></body.content></body></nitf>"
    )
    document = {"uri": "urn:n", "bodies": [{"contenttype": "application/nitf+xml", "value": body}]}
    assert paragraphs(document) == ["One.", "Two."]


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "file:///etc/passwd", "/local", "https://me:pw@x.example/", ""]
)
def test_only_safe_addresses_are_links(href: str) -> None:
    document = {"uri": "urn:n", "body_html": f"<p>See <a href='{href}'>this</a> now</p>"}
    text = told("nitf", document)
    assert "<p>See this now</p>" in text
    assert "<a" not in text


def test_a_link_to_a_hidden_item_is_words_only() -> None:
    uri = "https://news.example/killed"
    document = {"uri": "urn:n", "body_html": f"<p>See <a href='{uri}'>this</a></p>"}
    other = item_of({"uri": uri, "headline": "Killed"})
    assert uri in told("nitf", document, other)
    assert uri not in told("nitf", document, replace(other, pubstatus=PubStatus.CANCELED))
    assert uri not in told("nitf", document, replace(other, products=("premium",)))


@pytest.mark.parametrize(
    "inside",
    [
        "<script>x()</script>", "<style>p{}</style>", "<iframe>x</iframe>", "<object>x</object>",
        "<input value=x>", "<button>x</button>", "<select><option>x</select>",
        "<textarea>x</textarea>", "<svg><text>x</text></svg>", "<img src=x alt=x>",
        "<video>x<source src=x></video>", "<audio>x</audio>", "<picture><img src=x></picture>",
        "<canvas>x</canvas>", "<nav>x</nav>", "<noscript>x</noscript>", "<template>x</template>",
        "<map>x</map>", "<math>x</math>", "<embed src=x>", "<!-- x -->", "<?x x?>",
    ],
)  # fmt: skip
def test_what_is_no_text_is_left_out(inside: str) -> None:
    document = {"uri": "urn:n", "body_html": f"<p>Boats {inside} burn at the quay.</p>"}
    assert "<p>Boats burn at the quay.</p>" in told("nitf", document)
    assert "\n\nBoats burn at the quay.\n" in f"\n\n{told('plain', document)}"


def test_a_table_keeps_its_rows_and_a_list_inside_a_list_its_words() -> None:
    row = "<tr><td>{0}</td></tr>"
    parts = ("thead", "tbody", "tfoot")
    inner = "".join(f"<{part}>{row.format(part)}</{part}>" for part in parts)
    markup = f"<table>{inner}</table><ul><li>one<ul><li>two</li></ul></li></ul>"
    document = {"uri": "urn:n", "body_html": markup}
    rows = "".join(map(row.format, parts))
    assert f"<table>{rows}</table>" in told("nitf", document)
    assert "thead\ntbody\ntfoot\n\n- one two\n" in told("plain", document)


def test_addresses_are_those_of_attributes() -> None:
    markup = "<p title='x'>See http://no.example/ <a HREF=' https://a.example/ '>a</a><img src=b>"
    assert addresses_in(markup) == ["https://a.example/", "b"]


def test_blanks_at_the_ends_of_a_paragraph_go() -> None:
    markup = "<p> One <b>two</b> \n</p><ul><li> three </li></ul>"
    document = {"uri": "urn:n", "body_html": markup}
    assert '<p>One <em class="bold">two</em></p><ul><li>three</li></ul>' in told("nitf", document)


_ADDRESSES = (
    "href", "src", "srcset", "action", "formaction", "data", "poster", "background", "cite",
    "longdesc", "usemap", "xlink:href", "ping", "manifest", "codebase", "archive", "classid",
)  # fmt: skip
PIECES = st.sampled_from([
    "<p>", "</p>", "<b>", "</i>", "<a href='https://x.example/'>", "</a>", "<ul><li>", "</ul>",
    "<table><tr><td>", "</table>", "<br>", "<pre>", "<blockquote>", "text", " & ", "<", "]]>",
    "\x00", "\x0b", "\ufffe", "😀", "<!--", "-->", "<script>", "</script>", "<h2>", "<hr/>",
    "<?pi", "<![CDATA[", "<dl><dt>", "<svg/onload=alert(1)>",
    "&#0;", "&lt;", "<img src=x onerror=alert(1)>",
])  # fmt: skip
_ELEMENTS = frozenset({
    "nitf", "head", "title", "docdata", "doc-id", "date.issue", "body", "body.head", "body.content",
    "du-key", "body.end", "hedline", "hl1", "hl2", "block", "p", "em", "a", "br", "q", "ul", "ol",
    "li", "dl", "dt", "dd", "table", "caption", "tr", "th", "td", "pre", "bq", "hr",
})  # fmt: skip


@given(
    markup=st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=25).map("".join),
    headline=st.text(max_size=20),
)
def test_any_body_is_well_formed_and_has_its_words(markup: str, headline: str) -> None:
    document = {"uri": "urn:n", "headline": headline, "body_html": markup}
    try:
        item = item_of(document)
    except DocumentError:
        return
    root = fromstring(told("nitf", item))
    assert {element.tag for element in root.iter()} <= _ELEMENTS
    assert all(set(a.keys()) == {"href"} for a in root.iter("a"))
    block = root.find("body/body.content/block")
    letters = len("".join("".join(block.itertext()).split()))
    assert letters >= 0.8 * len("".join(clean_text(item.body).split()))
    told("plain", item)


@pytest.mark.parametrize(
    ("markup", "is_kept"),
    [
        ("<p>One <a href='https://x.example/'>two</a></p>", True),
        ("No markup: 3 < 4", True),
        ("<p onclick='x()'>One</p>", False),
        ("<p>One<script>x()</script></p>", False),
        ("<a href='javascript:x()'>One</a>", False),
        ("<img src='file:///etc/passwd'>One", False),
        *((f"<p {name}='data:x'>One</p>", False) for name in _ADDRESSES),
    ],
)
def test_markup_is_passed_on_without_scripts_and_unsafe_addresses(
    markup: str, is_kept: bool
) -> None:
    said = safe_markup(markup, lambda address: address.startswith("https://"))
    assert (said == markup) is is_kept
    assert "One" in said or is_kept


@pytest.mark.parametrize("form", ["nitf", "newsmlg2"])
def test_our_own_readers_read_what_we_write(form: str) -> None:
    data = told(form, {**STORY, "subject": [{"name": "Ferries", "code": "medtop:20000337"}]})
    (entry,) = xml_documents.documents(xml_tree.parse(data.encode())) or ()
    assert entry.tree is not None
    again, first = item_of({**entry.tree, "uri": "urn:news:ferry"}), item_of(STORY)
    members = ("headline", "byline", "located", "urgency", "slugline", "version")
    assert [getattr(again, name) for name in members] == [getattr(first, name) for name in members]
    assert again.body == first.body
    assert again.versioncreated == first.versioncreated
    if form == "newsmlg2":
        assert [(one.name, one.code) for one in again.subject] == [("Ferries", "medtop:20000337")]
        assert [one.name for one in again.person] == ["Ana Reyes"]
        assert [one.name for one in again.place] == ["Oslo"]
