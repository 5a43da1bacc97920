from __future__ import annotations

from dataclasses import dataclass
from time import thread_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import QueryError
from core.query_tree import EVERYTHING, Bool, Phrase, Prefix, Word, is_fact
from search.understanding.language import Parsed, parse
from search.understanding.understand import Understanding, describe

ALL = "everything"


@dataclass(frozen=True)
class Case:
    """What a query must become: the tree and the filters as lines, the text that is embedded, and
    a piece of the note that it gets ("" for none).
    """

    query: str
    tree: str
    filters: str = ALL
    text: str | None = None
    note: str = ""


def span(since: str, until: str, field: str = "versioncreated") -> str:
    start = f"{since}T00:00:00+00:00" if since else "…"
    end = f"{until}T00:00:00+00:00" if until else "…"
    return f"{field} in [{start}, {end})"


WORDS = [
    Case("", ALL, text=""),
    Case("   ", ALL, text=""),
    Case("ferry", "ferry", text="ferry"),
    Case("ferry accident", "(ferry accident)", text="ferry accident"),
    Case(" ferry\n\taccident ", "(ferry accident)", text="ferry\n\taccident"),
    Case("Ferry, accident.", "(Ferry accident)", text="Ferry, accident."),
    Case("rock 'n' roll", "(rock n roll)", text="rock 'n' roll"),
    Case("to be or not to be", "(to be or not to be)", text="to be or not to be"),
    Case("well-known e-mail", "(well-known e-mail)", text="well-known e-mail"),
    Case("10,000 a.b.c", "(10,000 a.b.c)", text="10,000 a.b.c"),
    Case("*", ALL, text=""),
]
OPERATORS = [
    Case("a AND b", "(+a +b)", text="a b"),
    Case("a OR b", "(a b)", text="a b"),
    Case("a NOT b", "(a -b)", text="a"),
    Case("a AND NOT b", "(+a -b)", text="a"),
    Case("a OR NOT b", "(a (-b))", text="a"),
    Case("NOT a", "(-a)", text=""),
    Case("-a", "(-a)", text=""),
    Case("a -b", "(a -b)", text="a"),
    Case("+a", "(+a)", text="a"),
    Case("+a b", "(+a b)", text="a b"),
    Case("+a -b c", "(+a c -b)", text="a c"),
    Case("NOT NOT a", "(-(-a))", text=""),
    Case("a and b or not c", "(a and b or not c)", text="a and b or not c"),
    Case("a AND b OR c", "((+a +b) c)", text="a b c"),
    Case("a OR b AND c", "(a (+b +c))", text="a b c"),
    Case("(a OR b) AND c", "(+(a b) +c)", text="a b c"),
    Case("a AND (b OR (c AND d))", "(+a +(b (+c +d)))", text="a b c d"),
    Case("-(a b)", "(-(a b))", text=""),
    Case('-"a b" c', '(c -"a b")', text="c"),
    Case("((a))", "a", text="a"),
]
PHRASES = [
    Case('"cold furnaces"', '"cold furnaces"', text="cold furnaces"),
    Case('"a b" c', '(+"a b" c)', text="a b c"),
    Case('"a" "b"', '(+"a" +"b")', text="a b"),
    Case('"a b" OR "c d"', '("a b" "c d")', text="a b c d"),
    Case('"ferry rescue"~3', '"ferry rescue"~3', text="ferry rescue"),
    Case('"a b"~999', '"a b"~50', text="a b"),
    Case(r'"say \"no\""', '"say "no""', text='say "no"'),
    Case('""', "nothing", text="", note="no word"),
    Case('ferry ""', "(ferry nothing)", text="ferry", note="no word"),
    Case('"!?" ferry', "(nothing ferry)", text="ferry", note="no word"),
    Case("solv*", "solv*", text="solv"),
    Case("headline:solv*", "headline:solv*", text="solv"),
    Case("s*", "s", text="s", note="wildcard"),
    Case("wo*d", "wo d", text="wo d", note="wildcard"),
    Case("?", "nothing", text="", note="wildcard"),
    Case("ferri~", "ferri", text="ferri", note="similar spellings"),
    Case("ferri~2 b", "(ferri b)", text="ferri b", note="similar spellings"),
]
FIELDS = [
    Case("headline:ferry", "headline:ferry", text="ferry"),
    Case("title:ferry", "headline:ferry", text="ferry"),
    Case("HeadLine:ferry", "headline:ferry", text="ferry"),
    Case("caption:quay", "description:quay", text="quay"),
    Case("text:quay", "body:quay", text="quay"),
    Case("name:reyes", "names:reyes", text="reyes"),
    Case("headline:ferry storm", "(+headline:ferry storm)", text="ferry storm"),
    Case('title:"a b"', 'headline:"a b"', text="a b"),
    Case("title:(a OR b)", "(headline:a headline:b)", text="a b"),
    Case("title:(a b)", "(+headline:a +headline:b)", text="a b"),
    Case(r"foo\:bar", "foo:bar", text="foo:bar"),
]
FACTS = [
    Case("type:picture", ALL, "type is picture", ""),
    Case("type:picture ferry", "ferry", "type is picture", "ferry"),
    Case("ferry type:picture", "ferry", "type is picture", "ferry"),
    Case("ferry AND type:picture", "(+ferry)", "type is picture", "ferry"),
    Case("+type:text ferry", "ferry", "type is text", "ferry"),
    Case("-type:picture", ALL, "(-type is picture)", ""),
    Case("ferry -type:picture", "ferry", "(-type is picture)", "ferry"),
    Case("ferry AND NOT type:picture", "(+ferry)", "(-type is picture)", "ferry"),
    Case("-type:a -type:b", ALL, "(-type is a -type is b)", ""),
    Case("type:a OR type:b", ALL, "(type is a type is b)", ""),
    Case("type:(picture OR video) ferry", "ferry", "(type is picture type is video)", "ferry"),
    Case("place:france OR peace", "(place is france peace)", ALL, "peace"),
    Case('subject:"central bank"', ALL, "subject is central bank", ""),
    Case("topic:economy", ALL, "subject is economy", ""),
    Case("org:UN", ALL, "organisation is UN", ""),
    Case("people:smith", ALL, "person is smith", ""),
    Case("lang:fr", ALL, "language is fr", ""),
    Case("products:demo", ALL, "product is demo", ""),
    Case("urgency:3", ALL, "urgency is 3", ""),
    Case("type:pic*", ALL, "type is pic*", "", "no wildcard"),
    Case("type:a place:b c", "c", "(+type is a +place is b)", "c"),
]
DATES = [
    Case("date:2024", ALL, span("2024-01-01", "2025-01-01")),
    Case("date:2024-03", ALL, span("2024-03-01", "2024-04-01")),
    Case("date:2024-02-29", ALL, span("2024-02-29", "2024-03-01")),
    Case('date:"2024-03-05"', ALL, span("2024-03-05", "2024-03-06")),
    Case("firstcreated:2024", ALL, span("2024-01-01", "2025-01-01", "firstcreated")),
    Case("date:[2024-01 TO 2024-03]", ALL, span("2024-01-01", "2024-04-01")),
    Case("date:{2024-01 TO 2024-03}", ALL, span("2024-02-01", "2024-03-01")),
    Case("date:[2024-01 TO 2024-03}", ALL, span("2024-01-01", "2024-03-01")),
    Case("date:[* TO 2024]", ALL, span("", "2025-01-01")),
    Case("date:[2024 TO *]", ALL, span("2024-01-01", "")),
    Case("date:>2024-03", ALL, span("2024-04-01", "")),
    Case("date:>=2024-03", ALL, span("2024-03-01", "")),
    Case("date:<2024-03", ALL, span("", "2024-03-01")),
    Case("date:<=2024-03", ALL, span("", "2024-04-01")),
    Case("ferry date:2024", "ferry", span("2024-01-01", "2025-01-01"), "ferry"),
    Case("ferry -date:2024", "ferry", f"(-{span('2024-01-01', '2025-01-01')})", "ferry"),
]
ACCIDENTS = [
    Case("AC/DC", "AC/DC", text="AC/DC"),
    Case("C++", "C", text="C++"),
    Case("[a TO b]", "a TO b", text="a TO b", note="no field is named"),
    Case(">5", "5", text="5", note="no field is named"),
    Case("O'Hare", "O'Hare", text="O'Hare"),
    Case("R&B", "R&B", text="R&B"),
    Case("AT&T profit", "(AT&T profit)", text="AT&T profit"),
    Case("what: a life", "((what a) life)", text="what a life", note="no field 'what'"),
    Case("10:30", "(10 30)", text="10 30", note="no field '10'"),
    Case("1/2 50% $5", "(1/2 50% $5)", text="1/2 50% $5"),
    Case('"', '"', text='"', note="plain words"),
    Case('"a b', "(a b)", text='"a b', note="plain words"),
    Case("a AND", "(a AND)", text="a AND", note="plain words"),
    Case("AND", "AND", text="AND", note="plain words"),
    Case("a OR OR b", "(a OR OR b)", text="a OR OR b", note="plain words"),
    Case("((", "((", text="((", note="plain words"),
    Case("()", "()", text="()", note="plain words"),
    Case("(a", "a", text="(a", note="plain words"),
    Case("a)", "a", text="a)", note="plain words"),
    Case("-", "-", text="-", note="plain words"),
    Case("a -", "a", text="a"),
    Case("- a", "a", text="a"),
    Case("storm - ferry", "(storm ferry)", text="storm   ferry"),
    Case("storm — ferry", "(storm ferry)", text="storm   ferry"),
    Case("what is love?", "(what is love)", text="what is love"),
    Case("ferry sinks!", "(ferry sinks)", text="ferry sinks"),
    Case("who? me", "(who me)", text="who  me"),
    Case("/", "/", text="/", note="plain words"),
    Case("\\", "\\", text="\\", note="plain words"),
    Case("^", "^", text="^", note="plain words"),
    Case("~", "~", text="~", note="plain words"),
    Case("[", "[", text="[", note="plain words"),
    Case("foo:", "foo", text="foo:", note="plain words"),
    Case("type:", "type", text="type:", note="plain words"),
    Case("date:", "date", text="date:", note="plain words"),
]
SCRIPTS = [
    Case("é café", "(é café)", text="é café"),
    Case("مرحبا שלום", "(مرحبا שלום)", text="مرحبا שלום"),
    Case("مرحبا AND שלום", "(+مرحبا +שלום)", text="مرحبا שלום"),
    Case("東京 地震", "(東京 地震)", text="東京 地震"),
    Case("😀", "😀", text="😀"),
    Case("👩‍🚀 AND moon", "(+👩‍🚀 +moon)", text="👩‍🚀 moon"),
    Case("“curly quotes”", "(“curly quotes”)", text="“curly quotes”"),
    Case("place:łódź", ALL, "place is łódź", ""),
]
CASES = [
    *WORDS,
    *OPERATORS,
    *PHRASES,
    *FIELDS,
    *FACTS,
    *DATES,
    *ACCIDENTS,
    *SCRIPTS,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.query or "(empty)")
def test_a_query_becomes(case: Case) -> None:
    found = parse(case.query)
    assert describe(found.tree) == case.tree
    assert describe(found.filters) == case.filters
    if case.text is not None:
        assert found.text == case.text
    if case.note:
        assert any(case.note in note for note in found.notes)
    else:
        assert found.notes == ()


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("ferry^2", Word("ferry", boost=2.0)),
        ("ferry^0.5", Word("ferry", boost=0.5)),
        ("ferry^0", Word("ferry", boost=0.01)),
        ("ferry^1000", Word("ferry", boost=100.0)),
        ("title:ferry^3", Word("ferry", "headline", 3.0)),
        ('"a b"^2', Phrase("a b", boost=2.0)),
        ('"a b"~3^2', Phrase("a b", slop=3, boost=2.0)),
        ("solv*^2", Prefix("solv", boost=2.0)),
        ("a^2 b", Bool(should=(Word("a", boost=2.0), Word("b")))),
    ],
)
def test_boosts(query: str, tree: object) -> None:
    assert parse(query).tree == tree


@pytest.mark.parametrize(
    "query",
    [
        'The minister said "we are NOT ready" on Monday, and the talks were put off.',
        "He (the captain) was asleep. The ferry ran aground, and nobody was hurt at all.",
        "COURT DOES NOT BLOCK FERRY AND TANKER DEAL",
    ],
)
def test_pasted_prose_has_no_operators(query: str) -> None:
    found = parse(query)
    assert isinstance(found.tree, Bool)
    assert all(isinstance(node, Word) for node in found.tree.should)
    assert (found.tree.must, found.tree.must_not, found.filters) == ((), (), EVERYTHING)
    assert found.text == query
    assert "read as plain words" in found.notes[0]


@pytest.mark.parametrize(
    "query",
    [
        "UN AND EU",
        "FERRY NOT STORM",
        'headline:"we are NOT ready" the minister said on Monday, and the talks were put off.',
        "ferry AND storm AND quay AND rescue AND island AND captain AND crew",
    ],
)
def test_what_looks_like_a_query_keeps_its_operators(query: str) -> None:
    found = parse(query)
    assert isinstance(found.tree, Bool)
    assert found.tree.must or found.tree.must_not
    assert found.notes == ()


def test_a_boost_that_can_not_be_given_is_said() -> None:
    assert "no effect" in parse("(a b)^2").notes[0]
    assert "no effect" in parse("type:picture^2 a").notes[0]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("date:2024-13", "month"),
        ("date:2024-02-30 ferry", "day"),
        ("date:tomorrow", "not a date"),
        ("date:*", "not a date"),
        ("date:20240305", "not a date"),
        ("date:[a TO b]", "not a date"),
        ("date:>soon", "not a date"),
        ("headline:[a TO b]", "range"),
        ("urgency:[a TO 3]", "number"),
        ("slugline:[a TO b]", "range"),
        ("foo:bar", "no field"),
        ("headline:>a", "range"),
        ("a " * 300, "clauses"),
        ("a AND " * 300 + "b", "clauses"),
        (" ".join(f"{a}{b}*" for a in "abcdefghij" for b in "abcdefghijklmnopqrst"), "too long"),
        ("body:ab* " * 17, "too long"),
        ("abc* " * 33, "too long"),
        ("a -abcd* " * 33, "too long"),
        ('"' + "the " * 125 + '"', "too long"),
        ('"the of" ' * 22, "too long"),
        ('"market share" ' * 65, "too long"),
        ("the," * 513, "too long"),
        ('"the the"~50 ' * 9, "too long"),
        ('"a b c d e f"~3', "distance"),
        ('"' + "the " * 300 + '"~50', "too long"),
    ],
)
def test_what_must_not_be_guessed_is_an_error(query: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert says in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    "query",
    [
        "ab* " * 16,
        "abcd* " * 64,
        '"' + "the " * 124 + '"',
        '"the of" ' * 21,
        '"market share" ' * 64,
        "the," * 512,
        '"a b c d e"~50 "a b c"~50',
        '"a b c d e f"~0',
        "word " * 256,
    ],
)
def test_what_a_query_may_cost(query: str) -> None:
    assert parse(query).tree is not EVERYTHING


@pytest.mark.parametrize(
    "query",
    [
        "(" * 4096,
        ")" * 4096,
        "[" * 4096,
        "(" * 2000 + "a" + ")" * 2000,
        "(" * 100 + "a" + ")" * 100,
        "a AND " * 682,
        "a AND (" * 585,
        "a OR " * 800 + "b",
        "NOT " * 1000 + "a",
        "-" * 4096,
        "+" * 4000 + "a",
        '"' * 4096,
        '"' * 4095,
        '"a" ' * 1000,
        "a:" * 2000 + "b",
        "a^" * 2000,
        "a~" * 2000,
        "\\" * 4095,
        "/" * 4096,
        "a/" * 2048,
        "* " * 2048,
        "é" * 4096,
    ],
    ids=lambda query: f"{query[:8]}… x {len(query)}",
)
@pytest.mark.timed
def test_long_queries_take_no_long_time(query: str) -> None:
    """Nothing here grows faster than its input: a second is a hundred times what it takes."""
    started = thread_time()
    found = read(query)
    assert thread_time() - started < 1.0
    assert found is None or describe(found.tree)


@pytest.mark.parametrize("size", [4097, 10_000_000])
@pytest.mark.timed
def test_over_long_queries_are_refused_before_they_are_read(size: int) -> None:
    started = thread_time()
    with pytest.raises(QueryError, match="4096"):
        Understanding(None).understand("(" * size)
    assert thread_time() - started < 0.5


_ALPHABET = st.sampled_from([*" ab\"()[]{}:^~*?/\\+-!&|<>=.,'’", " AND ", " OR ", " NOT ", " TO "])
_PIECES = st.sampled_from(
    ["date:", "type:", "title:", "foo:", "2024", "2024-03", "*", "march 2024", '"a b"', "\n", "é"]
)
queries = st.one_of(
    st.text(max_size=200), st.lists(st.one_of(_ALPHABET, _PIECES), max_size=40).map("".join)
)


def read(query: str) -> Parsed | None:
    try:
        return parse(query)
    except QueryError:
        return None


@given(queries)
@example("date:9999-12-31T23:59:59.999999Z")
@example("date:0001-01-01T00:00:00+05:00")
@example("\x85")
@example("0^.")
@example('"a"~.')
@example("a~. b")
@example("\ud800 AND b")
def test_any_text_is_read_or_refused(query: str) -> None:
    found = read(query)
    if found is None:
        return
    for line in (describe(found.tree), describe(found.filters)):
        assert line.strip()
    assert is_fact(found.filters)
    assert found.filters == EVERYTHING or found.filters != found.tree


@given(queries)
def test_understanding_any_text_loses_no_plain_word(query: str) -> None:
    """What is read as plain words is embedded as it was typed."""
    found = read(query)
    if found and any("plain words" in note for note in found.notes):
        assert [c for c in found.text if c.isalnum()] == [c for c in query if c.isalnum()]


@given(st.lists(st.sampled_from(["ferry", "storm", "quay", "rescue"]), min_size=1, max_size=9))
def test_negated_words_are_never_embedded(words: list[str]) -> None:
    query = " ".join(f"-{word}x {word}" for word in words)
    assert parse(query).text == " ".join(words)
