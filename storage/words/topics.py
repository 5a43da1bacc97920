"""A vocabulary of subjects as a tree, such as IPTC's Media Topics: read, used in filters, counted.

The file is text with one topic a line: code, broader topic's code, label, another label and the day
it was retired, with tabs between them; the last ones may be left out. `# scheme: PREFIX URI` says
how codes are written in full: topic 15000000 of `# scheme: medtop http://cv.iptc.org/…/` is
`medtop:15000000`, or that address with the number behind it. Other lines with # are comments.

In a filter a topic stands for every topic below it: the codes that items may have are added to the
filter's value before retrieval, so a new vocabulary needs no rebuild. In counts a story on football
is also one on sport.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import InputError
from core.query_tree import Keyword, Node, with_leaves
from core.retrieval import FacetCount, Retrieval

MEDIA_TOPICS = Path(__file__).with_name("media_topics.tsv")
_SCHEME = re.compile(r"#\s*scheme:\s*(\S+)\s+(https?)://(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics by code: each one's broader topic ("" at the top) and its label as written; and
    the topics of each casefolded label.
    """

    prefix: str = ""
    address: str = ""
    broader: Mapping[str, str] = field(default_factory=dict)
    by_label: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def code(self, text: str) -> str:
        """Return the topic of a code in any spelling, "" if there is none."""
        folded = text.casefold().strip()
        bare = folded.removeprefix("https://").removeprefix("http://")
        if bare != folded:
            bare = bare.removeprefix(self.address)
        else:
            bare = bare.removeprefix(f"{self.prefix}:")
        return bare if bare in self.broader else ""

    def spellings(self, code: str) -> tuple[str, ...]:
        """Return every spelling of a topic's code that `code` reads, casefolded."""
        bare = (code, *((self.address + code,) if self.address else ()))
        full = (f"{scheme}{name}" for scheme in ("http://", "https://") for name in bare)
        return (code, f"{self.prefix}:{code}", *full)

    def meant(self, text: str) -> tuple[str, ...]:
        """Return the topics that a code or a label means; two topics may have the same label."""
        code = self.code(text)
        return (code,) if code else self.by_label.get(text.casefold().strip(), ())

    def label(self, code: str) -> str:
        """Return the label of a topic; its code if it has none."""
        return self.labels.get(code) or code

    def line(self, code: str) -> Iterator[str]:
        """Yield a topic and every broader one, upwards."""
        while code:
            yield code
            code = self.broader[code]


def read_topics(path: Path) -> Topics:
    """Return the topics of a file. Raises InputError for one that can't be read, with the line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"topics can't be read: {error}", where=str(path)) from error
    prefix = address = ""
    broader: dict[str, str] = {}
    labels: dict[str, str] = {}
    named: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if found := _SCHEME.fullmatch(line):
            prefix, address = found[1].casefold(), found[3].casefold()
        elif line.strip() and not line.startswith("#"):
            code, names = _take(line, f"{path}:{number}", broader)
            for name in names:
                labels.setdefault(code, name)
                named.setdefault(name.casefold(), []).append(code)
    _check(broader, path)
    by_label = {label: tuple(codes) for label, codes in named.items()}
    return Topics(prefix, address, broader, by_label, labels)


def _take(line: str, where: str, broader: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Add a topic to `broader`; return its code and its labels without case variants."""
    code, above, *names = (part.strip() for part in (*line.split("\t"), "", ""))
    code = code.casefold()
    if not code or code in broader:
        what = f"the code {code!r} stands here twice" if code else "a line has no code"
        raise InputError(what, where=where, mend="give each topic one line and a code of its own")
    broader[code] = above.casefold()
    return code, tuple({name.casefold(): name for name in names[:2] if name}.values())


def _check(broader: Mapping[str, str], path: Path) -> None:
    """Check that every topic leads up to one without a broader topic. Raises InputError."""
    for code in broader:
        seen = {code}
        above = broader[code]
        while above:
            if above not in broader:
                raise InputError(
                    f"topic {code!r} lies below {above!r}, which is none of the file's topics",
                    where=str(path),
                    mend="add a line for it, or leave the second column empty",
                )
            if above in seen:
                raise InputError(
                    f"topic {code!r} lies below itself", where=str(path), mend="break the circle"
                )
            seen.add(above)
            above = broader[above]


Narrower = Callable[[tuple[str, ...]], tuple[str, ...]]
_FIELD = "subject"


class WrittenTopics:
    """The codes at and below each topic, in every spelling that the vocabulary knows. It is for an
    index that can't say which of these spellings its items have.
    """

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self._below: dict[str, tuple[str, ...]] = {}
        for code in topics.broader:
            for topic in topics.line(code):
                self._below[topic] = (*self._below.get(topic, ()), *topics.spellings(code))

    def retrieval(self, request: Retrieval) -> Retrieval:
        """Return the request with its query and its filters expanded."""
        return expanded_request(request, self._narrower)

    def expanded(self, node: Node) -> Node:
        """Return the tree. Each subject in it also stands for its narrower topics."""
        return expanded(node, self._narrower)

    def _narrower(self, values: tuple[str, ...]) -> tuple[str, ...]:
        topics = (topic for value in values for topic in self.topics.meant(value))
        found = dict.fromkeys(code for topic in topics for code in self._below.get(topic, ()))
        return tuple(code for code in found if code not in values)


def expanded_request(request: Retrieval, narrower: Narrower) -> Retrieval:
    """Return the request with its query and its filters expanded."""
    query, filters = expanded(request.query, narrower), expanded(request.filters, narrower)
    if query is request.query and filters is request.filters:
        return request
    return replace(request, query=query, filters=filters)


def expanded(node: Node, narrower: Narrower) -> Node:
    """Return the tree with the codes of `narrower` added to every subject; the same tree if there
    are none.
    """

    def wider(leaf: Node) -> Node:
        if not isinstance(leaf, Keyword) or leaf.field != _FIELD:
            return leaf
        more = narrower(leaf.values)
        return replace(leaf, values=(*leaf.values, *more)) if more else leaf

    return with_leaves(node, wider)


def most_frequent(
    counts: Mapping[str, int], labels: Mapping[str, str], limit: int
) -> tuple[FacetCount, ...]:
    """Return the most frequent of casefolded labels, by count and then by label as written."""
    ranked = sorted((-count, labels[key]) for key, count in counts.items() if count)
    return tuple(FacetCount(label, -count) for count, label in ranked[:limit])


Subjects = tuple[Sequence[str], Sequence[str]]  # the names and the codes of an item's subjects


class TopicCounts:
    """Counts for the facet `subject` with a vocabulary of topics.

    An item counts once for each topic at or above one of its codes, under the topic's label. It
    also counts for each name of its subjects that is not a label of these topics. So a topic's
    count is the number of counted items that a filter by its label finds.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._lines: dict[str, tuple[str, ...]] = {}  # topics at and above a topic, by its code

    def of(self, items: Iterable[Subjects], limit: int) -> tuple[FacetCount, ...]:
        """Return the most frequent subjects and broader topics of `items`, by count, then label."""
        counted: Counter[str] = Counter()
        written: dict[str, str] = {}
        for names, codes in items:
            found = {label.casefold(): label for label in self._labels(names, codes)}
            counted.update(found.keys())
            for key, label in found.items():
                written.setdefault(key, label)
        return most_frequent(counted, written, limit)

    def _labels(self, names: Sequence[str], codes: Sequence[str]) -> Iterator[str]:
        """Yield the labels that one item counts for; those of the vocabulary come last, so that
        their spelling wins.
        """
        topics = dict.fromkeys(topic for code in codes for topic in self._line(code))
        for name in names:
            if topics.keys().isdisjoint(self._topics.by_label.get(name.casefold(), ())):
                yield name
        for topic in topics:
            yield self._topics.label(topic)

    def _line(self, code: str) -> tuple[str, ...]:
        topic = self._topics.code(code)
        if topic not in self._lines:
            self._lines[topic] = tuple(self._topics.line(topic))
        return self._lines[topic]
