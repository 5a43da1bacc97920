"""The rule that makes queries of sentences, on sentences that a person can check."""

from training.tagger.conll import Sentence
from training.tagger.query_style import query_style


def sentence(text: str) -> Sentence:
    """Words with their tags after a slash; O where there is none."""
    pairs = [word.partition("/")[::2] for word in text.split()]
    return Sentence(tuple(word for word, _ in pairs), tuple(tag or "O" for _, tag in pairs))


def shown(text: str, *, before: int = 0) -> list[str]:
    """The queries of one sentence that `before` others, which give nothing, stand in front of."""
    filler = [sentence(". ,")] * before
    return [" ".join(query.words) for query in query_style([*filler, sentence(text)])]


def test_the_first_name_of_the_first_sentence_stands_alone() -> None:
    assert shown("Yesterday Angela/B-PER Merkel/I-PER met others") == ["angela merkel"]


def test_context_depends_on_the_place() -> None:
    text = "Late yesterday Merkel/B-PER met four others in a bar"
    assert shown(text, before=1) == ["yesterday merkel met"]
    assert shown(text, before=2) == ["late yesterday merkel met four"]
    assert shown(text, before=3) == ["merkel met four others"]


def test_each_name_gives_a_query_and_none_is_cut() -> None:
    text = "In New/B-LOC York/I-LOC Goldman/B-ORG Sachs/I-ORG fell ."
    assert shown(text) == ["in new york"[3:], "new york goldman sachs fell"]


def test_signs_alone_are_dropped_and_tags_follow() -> None:
    (query,) = query_style([sentence(", ( Reuters/B-ORG )")])
    assert query == Sentence(("reuters",), ("B-ORG",))


def test_long_names_and_repeats_are_left_out() -> None:
    name = " ".join(["a/B-MISC", *["b/I-MISC"] * 8])
    assert query_style([sentence(name)]) == []
    assert len(query_style([sentence("Rome/B-LOC")] * 12)) == 1


def test_a_sentence_without_names_gives_its_beginning() -> None:
    assert shown("Shares fell again on Friday") == ["shares fell"]
    assert shown("Shares fell again on Friday", before=2) == ["shares fell again on"]
