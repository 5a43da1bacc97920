"""A judged set, whatever files it was read from.

A reader of files returns `Material`. `eval.sets.datasets` checks it and makes a `JudgedSet`, which
is all that runs, tuning and reports use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from eval.runs.measures import Qrels
from eval.sets.about import About
from search.answers import DateUse

PRODUCT = "eval"
LEAST_AGREEMENT = 0.667  # Krippendorff, 2004: below it not even tentative conclusions
_OPERATORS = re.compile(r"(?<!\S)(?:AND|OR|NOT|TO)(?!\S)")
_MARKS = re.compile(r"[\"()\[\]{}^~*?:/\\+!&|<>=]|(?<!\w)-+")

Facets = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a collection is to be scored.

    `body_only` leaves titles out of the index: if a query is a document's own title, the task would
    be trivial. `products` are what the reader of the judgements may see. Queries are asked as
    written, as a user would ask them. Without `query_language` they are published headlines, whose
    quotes are quotations and whose capitals are not operators, and they are asked as `plain_words`.
    `dated` says whether documents are news stories with dates of their own, which dates in queries
    filter; None means: if they are in ninjs.
    """

    body_only: bool = False
    query_language: bool = True
    products: tuple[str, ...] = (PRODUCT,)
    dated: bool | None = None


KNOWN = {
    "reuters21578": Conventions(body_only=True, query_language=False),
    "bbc_news": Conventions(body_only=True, query_language=False),
    "fnc1": Conventions(query_language=False),
    "demo": Conventions(products=("demo",)),
}


@dataclass(frozen=True, slots=True)
class Doubts:
    """What makes a figure different from what it looks like, but is not an error.

    These are: judged documents that the corpus lacks (they still count as relevant), queries that
    nobody judged (left out; those of another split do not count here), queries without a relevant
    document (they count 0), judgements of -1 or -2 that were read as 0, the grades used if one
    between them is missing, whether there is only one query, the judges' agreement if it is below
    `LEAST_AGREEMENT`, and how many grades language models and models of clicks gave.
    """

    absent_documents: int = 0
    unjudged_queries: int = 0
    queries_without_relevant: int = 0
    junk_judgements: int = 0
    gapped_grades: tuple[int, ...] = ()
    single_query: bool = False
    low_agreement: float | None = None
    by_machine: int = 0
    by_clicks: int = 0

    def lines(self) -> tuple[str, ...]:
        """Return one sentence per doubt."""
        said = (
            (self.absent_documents, "judged documents are not in the corpus"),
            (self.unjudged_queries, "queries have no judgement and are left out"),
            (self.queries_without_relevant, "queries have no relevant document and count 0"),
            (self.junk_judgements, "judgements are -1 or -2 and count as not relevant"),
            (self.by_machine, "judgements are of language models; no person has checked them"),
            (self.by_clicks, "judgements are weak: a model of clicks gave them, and no person"),
        )
        lines = [f"{count} {what}" for count, what in said if count]
        if self.gapped_grades:
            lines.append(_gap(self.gapped_grades))
        if self.single_query:
            lines.append("a single query is judged: nothing can be said about others")
        if self.low_agreement is not None:
            lines.append(
                f"judges agree little: ordinal alpha {self.low_agreement:.2f}, below "
                f"{LEAST_AGREEMENT}"
            )
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class Material:
    """What a reader found: one split of a collection, not yet checked.

    `corpus` is the file to index, in the folder `corpus_name` ("" means `label`), `ids` its
    documents, `texts` all queries as written, `facets` what is said of them, `elsewhere` the
    queries that other splits judge, `junk` how many judgements were read as 0, and `by_machine` how
    many are a language model's.
    """

    label: str
    split: str
    corpus: Path
    ids: AbstractSet[str]
    uri_prefix: str
    texts: Mapping[str, str]
    qrels: Qrels
    facets: Mapping[str, Facets] = field(default_factory=dict)
    elsewhere: AbstractSet[str] = frozenset()
    junk: int = 0
    judges: tuple[str, ...] = ()
    agreement: float | None = None
    by_machine: int = 0
    about: About = field(default_factory=About)
    corpus_name: str = ""


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A collection and one split of its judgements.

    `queries` are the judged ones, id to text, in the file's order; `qrels` is query id to document
    id to grade. A document's uri in the index is `uri_prefix` plus its id. `corpus` is the file to
    index, `corpus_sha256` its digest as it is on disk (compressed or not), and `documents` how many
    different ids it has. `slices` are the facets that the set itself states, by query id;
    `eval.runs.slices` derives more. `judges` and `agreement`, Krippendorff's ordinal alpha, are
    known if each judgement names its judge. `title` is for people. `corpus_name` is in every uri;
    it is the set's own name if the set has its own documents.
    """

    name: str
    split: str
    corpus: Path
    documents: int
    queries: Mapping[str, str]
    qrels: Qrels
    uri_prefix: str
    conventions: Conventions
    doubts: Doubts
    corpus_sha256: str = ""
    slices: Mapping[str, Facets] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    licence: str = ""
    judges: tuple[str, ...] = ()
    agreement: float | None = None
    title: str = ""
    corpus_name: str = ""

    @property
    def judgements_sha256(self) -> str:
        """The digest of the queries and all grades, whatever their order in the files."""
        tree = {"queries": dict(self.queries), "qrels": {q: dict(g) for q, g in self.qrels.items()}}
        return hashlib.sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def dates(self) -> DateUse:
        """What dates in queries do. Documents that are not news stories have no dates of their own,
        and a filter would let none of them through.
        """
        stated = self.conventions.dated
        dated = not self.uri_prefix if stated is None else stated
        return DateUse.FILTER if dated else DateUse.OFF

    def document_id(self, uri: str) -> str:
        """Return the id that judgements use for an item."""
        return uri.removeprefix(self.uri_prefix)


def plain_words(text: str) -> str:
    """Return the words without signs of the query language: a quotation or a dash in a text must
    not narrow the answer. A text that has nothing else stays as it is.
    """
    words = _OPERATORS.sub(lambda match: match[0].lower(), _MARKS.sub(" ", text))
    return " ".join(words.split()) or text


def _gap(grades: tuple[int, ...]) -> str:
    used = ", ".join(str(grade) for grade in grades)
    missing = ", ".join(str(g) for g in range(grades[0], grades[-1]) if g not in grades)
    return f"grades used are {used}: nothing has {missing}"
