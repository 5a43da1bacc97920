"""Other annotation rules are put into four labels without a guess."""

from pathlib import Path

from training.tagger.conll import Sentence
from training.tagger.other_corpora import read_uner, read_wnut, without_label

WNUT = "Apple\tB-corporation\nsues\tO\nAC\tB-group\nDC\tI-group\n\n# one\tO\n\tO\n"
UNER = """# newdoc id = 1
# text = Miramar rules
1\tMiramar\tB-LOC\t-\tone
2\trules\tB-OTH\t-\t-

"""


def test_wnut(tmp_path: Path) -> None:
    path = tmp_path / "wnut"
    path.write_text(WNUT)
    first, second = read_wnut(path)
    assert first == Sentence(("Apple", "sues", "AC", "DC"), ("B-ORG", "O", "B-ORG", "I-ORG"))
    assert second.words[0] == "# one"


def test_uner_has_no_other(tmp_path: Path) -> None:
    path = tmp_path / "uner"
    path.write_text(UNER)
    assert read_uner(path) == [Sentence(("Miramar", "rules"), ("B-LOC", "O"))]


def test_a_label_that_a_corpus_lacks_is_left_out() -> None:
    tagged = Sentence(("Olympics", "in", "Rome"), ("B-MISC", "O", "B-LOC"))
    assert without_label(tagged, "MISC").tags == ("O", "O", "B-LOC")
    assert without_label(tagged, "").tags == tagged.tags
