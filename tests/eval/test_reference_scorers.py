"""Our measures against pytrec_eval and ranx, on random runs with ties and missing queries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import pytrec_eval

from eval.measures import means, parse_measure, per_query, ranked

TREC_NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "R@100": "recall_100",
    "P@10": "P_10",
    "RR": "recip_rank",
    "AP": "map",
    "AP@100": "map_cut_100",
    "Success@10": "success_10",
    "Bpref": "bpref",
}
CONDENSED = {name: trec for name, trec in TREC_NAMES.items() if name != "Bpref"}
KINDS = {"ndcg", "ndcg_cut", "recall", "P", "recip_rank", "map", "map_cut", "success", "bpref"}
Scores = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]


def random_case(seed: int, *, tied: bool) -> tuple[Qrels, Scores]:
    """30 judged queries over 300 documents, 150 of them ranked; scores repeat where `tied`."""
    rng = np.random.default_rng(seed)
    documents = np.array([f"doc-{n}" for n in range(300)])
    qrels: Qrels = {}
    scores: Scores = {}
    for number in range(30):
        judged = rng.choice(documents, size=rng.integers(1, 40), replace=False)
        grades = rng.integers(0, 4, len(judged))
        qrels[f"q{number}"] = dict(zip(judged.tolist(), grades.tolist(), strict=True))
        found = rng.choice(documents, size=150, replace=False)
        values = rng.integers(0, 20, 150) / 4 if tied else rng.permutation(150) / 8
        scores[f"q{number}"] = dict(zip(found.tolist(), values.tolist(), strict=True))
    return qrels, scores


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_pytrec_eval(seed: int, *, tied: bool) -> None:
    qrels, scores = random_case(seed, tied=tied)
    reference = pytrec_eval.RelevanceEvaluator(qrels, KINDS).evaluate(scores)
    run = {query: ranked(found) for query, found in scores.items()}
    ours = per_query([parse_measure(name) for name in TREC_NAMES], qrels, run)
    for query, row in ours.items():
        theirs = {name: reference[query][trec] for name, trec in TREC_NAMES.items()}
        assert row == pytest.approx(theirs, abs=1e-9), query


@pytest.mark.parametrize("tied", [False, True])
def test_condensed_is_pytrec_eval_without_unjudged_documents(*, tied: bool) -> None:
    qrels, scores = random_case(4, tied=tied)
    judged = {
        query: {document: score for document, score in found.items() if document in qrels[query]}
        for query, found in scores.items()
    }
    reference = pytrec_eval.RelevanceEvaluator(qrels, KINDS).evaluate(judged)
    run = {query: ranked(found) for query, found in scores.items()}
    ours = per_query([parse_measure(f"{name} condensed") for name in CONDENSED], qrels, run)
    for query, row in ours.items():
        theirs = {f"{name} condensed": reference[query][trec] for name, trec in CONDENSED.items()}
        assert row == pytest.approx(theirs, abs=1e-9), query


def test_bpref_where_no_judged_document_is_wrong() -> None:
    """Collections of relevant documents only, such as cacm: Bpref is then recall."""
    qrels, scores = random_case(5, tied=False)
    only = {
        query: {d: 1 for d, g in grades.items() if g} or {"z": 1} for query, grades in qrels.items()
    }
    reference = pytrec_eval.RelevanceEvaluator(only, {"bpref"}).evaluate(scores)
    run = {query: ranked(found) for query, found in scores.items()}
    for query, row in per_query([parse_measure("Bpref")], only, run).items():
        assert row["Bpref"] == pytest.approx(reference[query]["bpref"], abs=1e-9)


def test_agrees_with_ranx_also_where_a_query_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "NUMBA_DISABLE_JIT", "1"
    )  # ranx would compile for a minute, to run for 0.1 s
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ranx

        qrels, scores = random_case(7, tied=False)
        del scores["q3"]
        names = {"nDCG@10": "ndcg@10", "R@100": "recall@100", "RR": "mrr", "AP": "map"}
        theirs = ranx.evaluate(
            ranx.Qrels(qrels), ranx.Run(scores), list(names.values()), make_comparable=True
        )
    run = {query: ranked(found) for query, found in scores.items()}
    ours = means(per_query([parse_measure(name) for name in names], qrels, run))
    assert ours == pytest.approx({name: theirs[other] for name, other in names.items()}, abs=1e-9)
