"""Both languages of a mixed archive, and how far a query's own language comes first.

    python -m benchmarks.languages [--paragraphs N] [--profiles P,P] [--set KEY=VALUE ...]

The archive has each paragraph twice: in English and in Spanish (XQuAD). Spanish and German
questions ask for them, and the paragraph in either language answers. R@10 is the share of both that
are in the top 10. "Spanish first" is the share of the questions whose Spanish paragraph is before
its English one: .5 would be no bias, and a German question has no reason for one. "Apart" is the
median of how many places lie between the two.
"""

from __future__ import annotations

import gzip
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

import orjson

from benchmarks.machine import REUTERS, arguments, this_machine
from benchmarks.news import Reporting
from dateline.measuring.evaluate import evaluate_folder
from dateline.settings import configure
from eval.runs.results import RunResult

_LANGUAGES = {"en": "xquad_es", "es": "xquad_es_es"}  # the set whose corpus is in this language
_QUESTIONS = {"es": "xquad_es", "de": "xquad_de"}  # the set whose questions are in this language
_ROW = "{:<14} {:<9} {:>8} {:>8} {:>14} {:>8}"


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--paragraphs", type=int, default=240)
    parser.add_argument("--profiles", default="hybrid,multilingual")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the cache is")
    parser.add_argument("--sets", type=Path, default=REUTERS.parent, help="folder of the sets")
    parser.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE")
    chosen = parser.parse_args()
    changes = dict(each.split("=", 1) for each in chosen.set)
    settings = configure({"data": str(chosen.data), **changes}).settings
    print(_ROW.format("profile", "questions", "nDCG@10", "R@10", "Spanish first", "apart"))
    with tempfile.TemporaryDirectory() as top:
        for asked in _QUESTIONS:
            folder = Path(top) / asked / "mixed"  # one name: both share an index
            answers = write_mixed(chosen.sets, folder, chosen.paragraphs, asked)
            for profile in chosen.profiles.split(","):
                found = evaluate_folder(
                    settings, str(folder), profile, Reporting(), measures=("nDCG@10", "R@10")
                )
                print(_row(profile, asked, found, answers), flush=True)
    print(this_machine())


def write_mixed(sets: Path, folder: Path, paragraphs: int, asked: str = "es") -> dict[str, str]:
    """Write the judged set of the first paragraphs in both languages to `folder`, with questions in
    the language `asked`; return each question's English paragraph.
    """
    (folder / "qrels").mkdir(parents=True)
    lines = []
    for language, name in _LANGUAGES.items():
        for line in _lines(sets / name / "corpus.jsonl.gz")[:paragraphs]:
            document = orjson.loads(line)
            lines.append(orjson.dumps({**document, "metadata": {"language": language}}))
    (folder / "corpus.jsonl").write_bytes(b"\n".join(lines))
    known = {orjson.loads(line)["_id"] for line in lines}
    judged, answers = [], {}
    questions_of = sets / _QUESTIONS[asked]
    for row in (questions_of / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, _ = row.split("\t")
        if document in known:
            answers[query] = document
            judged += [f"{query}\t{document}\t1", f"{query}\t{_spanish(document)}\t1"]
    table = "\n".join(("query-id\tcorpus-id\tscore", *judged))
    (folder / "qrels" / "test.tsv").write_text(table + "\n", "utf-8")
    questions = _lines(questions_of / "queries.jsonl.gz")
    kept = [line for line in questions if orjson.loads(line)["_id"] in answers]
    (folder / "queries.jsonl").write_bytes(b"\n".join(kept))
    return answers


def _spanish(document: str) -> str:
    return f"es{document.removeprefix('en')}"


def _lines(path: Path) -> list[bytes]:
    with gzip.open(path) as stream:
        return stream.read().splitlines()


def _row(profile: str, asked: str, found: RunResult, answers: Mapping[str, str]) -> str:
    first, apart = [], []
    for row in found.rows:
        places = {document: place for place, document in enumerate(row.documents)}
        english = answers[row.query_id]
        if english in places and _spanish(english) in places:
            gap = places[english] - places[_spanish(english)]
            first.append(gap > 0)
            apart.append(abs(gap))
    share = sum(first) / len(first) if first else float("nan")
    between = statistics.median(apart) if apart else float("nan")
    means = [f"{found.mean(measure):.3f}" for measure in ("nDCG@10", "R@10")]
    return _ROW.format(profile, asked, *means, f"{share:.3f}", f"{between:.0f}")


if __name__ == "__main__":
    main()
