"""The editors' file: synonyms and pinned results, in TOML, read again when it changes.

    [[synonyms]]
    words = ["eu", "european union"]      # each also finds the others

    [[synonyms]]
    from = ["covid"]
    to = ["coronavirus"]                  # "covid" finds "coronavirus" too, not the other way round

    [[pins]]
    query = "world cup"
    uris = ["urn:newsml:example:123"]     # come first where the caller may see them

Synonyms widen what BM25 searches for, at a lower weight than the typed words; the text that is
embedded stays as it is. A pin applies to exactly this query, whatever its case and white space.
"""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations, product
from pathlib import Path
from time import monotonic

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SettingsError
from core.query_tree import Bool, Node, Phrase, Word

log = logging.getLogger(__name__)
SYNONYM_BOOST = 0.5  # weight of a synonym, beside 1 for a typed word
_CHECKED_S = 1.0
_MOST_WORDS = 5  # in one side of a synonym

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Editorial:
    """The editors' rules: the alternatives of each sequence of casefolded words, and the uris that
    come first by query.
    """

    synonyms: Mapping[Words, tuple[str, ...]] = field(default_factory=dict)
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pinned(self, query: str) -> tuple[str, ...]:
        """Return the uris that come first for `query`, in order."""
        return self.pins.get(_folded(query), ())


def no_rules() -> Editorial:
    """Return the rules without an editors' file: none."""
    return _NO_RULES


_NO_RULES = Editorial()


class EditorsFile:
    """The file at `path`, checked at most once a second and read when it changed.

    If a new version can't be read, the old one stays in force and `problem` says why. Raises
    SettingsError if the first version can't be read.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._rules, self._stamp = read_editorial(path), _stamp(path)
        self._looked = clock()
        self.problem = ""

    def __call__(self) -> Editorial:
        """Return the rules in force."""
        if self._clock() - self._looked >= _CHECKED_S and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._rules

    def status(self) -> dict[str, object]:
        """Return the rules in force, as values for JSON."""
        rules = self()
        return {
            "file": str(self._path),
            "synonyms": len(rules.synonyms),
            "pins": len(rules.pins),
            "problem": self.problem,
        }

    def _look(self) -> None:
        self._looked = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._rules, self.problem = read_editorial(self._path), ""
            log.info("the editors' file %s was read again", self._path)
        except SettingsError as error:
            self.problem = f"{error}; the version before stays in force"
            log.warning("the editors' file: %s", self.problem)


class _Synonyms(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    words: tuple[str, ...] = ()
    from_: tuple[str, ...] = Field(default=(), alias="from")
    to: tuple[str, ...] = ()


class _Pin(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str
    uris: tuple[str, ...] = Field(min_length=1, max_length=50)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    synonyms: tuple[_Synonyms, ...] = ()
    pins: tuple[_Pin, ...] = ()


def read_editorial(path: Path) -> Editorial:
    """Read and check an editors' file. Raises SettingsError, which says what is wrong, where, and
    how to mend it.
    """
    try:
        tree = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the editors' file can't be read: {error}", where=str(path), mend="set `editorial`"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"the editors' file is not TOML: {error}", where=str(path), mend="mend that line"
        ) from error
    except ValidationError as error:
        raise _mistake(error, path) from error
    synonyms: dict[Words, list[str]] = {}
    for number, group in enumerate(tree.synonyms):
        _add_synonyms(synonyms, group, f"{path}: synonyms[{number}]")
    pins: dict[str, tuple[str, ...]] = {}
    for number, pin in enumerate(tree.pins):
        _add_pin(pins, pin, f"{path}: pins[{number}]")
    return Editorial({words: tuple(others) for words, others in synonyms.items()}, pins)


def expanded(tree: Node, rules: Editorial) -> tuple[Node, tuple[str, ...]]:
    """Return the tree with synonyms as optional clauses beside its bare words, and notes on what
    was added. Phrases, fielded words and excluded words stay as they are.
    """
    if not rules.synonyms:
        return tree, ()
    notes: list[str] = []
    return _expanded(tree, rules, notes), tuple(dict.fromkeys(notes))


def _expanded(node: Node, rules: Editorial, notes: list[str]) -> Node:
    match node:
        case Word(_, ""):
            others = _others((node,), rules, notes)
            return Bool(should=(node, *others)) if others else node
        case Bool(must, should, must_not):
            must = tuple(_expanded(child, rules, notes) for child in must)
            inside = tuple(
                child if isinstance(child, Word) else _expanded(child, rules, notes)
                for child in should
            )
            return Bool(must, (*inside, *_others(should, rules, notes)), must_not)
        case _:
            return node


def _others(nodes: tuple[Node, ...], rules: Editorial, notes: list[str]) -> tuple[Node, ...]:
    """Return the synonyms of every sequence of bare words among `nodes`, each once."""
    typed = [node.text if isinstance(node, Word) and not node.field else "" for node in nodes]
    found: dict[str, Node] = {}
    for start, end in product(range(len(typed)), range(1, len(typed) + 1)):
        run = tuple(word.casefold() for word in typed[start:end])
        if not 0 < len(run) <= _MOST_WORDS:
            continue
        for other in rules.synonyms.get(run, ()):
            notes.append(f"{' '.join(typed[start:end])} also finds {other} (editors' synonym)")
            found[other.casefold()] = _alternative(other, len(run))
    return tuple(found.values())


def _alternative(text: str, typed: int) -> Node:
    """Return a synonym of `typed` words. A phrase scores for each of its words, so its weight is
    lowered to that of the typed words.
    """
    words = len(text.split())
    boost = SYNONYM_BOOST * min(1.0, typed / words)
    return Phrase(text, boost=boost) if words > 1 else Word(text, boost=boost)


def _add_synonyms(into: dict[Words, list[str]], group: _Synonyms, where: str) -> None:
    two_way, one_way = bool(group.words), bool(group.from_ or group.to)
    if two_way == one_way or (one_way and not (group.from_ and group.to)):
        raise SettingsError(
            "a synonym has either words, or from and to",
            where=where,
            mend='write words = ["eu", "european union"], or from = ["covid"] and to = ["…"]',
        )
    if two_way and len(group.words) < 2:
        raise SettingsError("words has only one entry", where=where, mend="name two or more")
    pairs = permutations(group.words, 2) if two_way else product(group.from_, group.to)
    for one, other in pairs:
        key, said = _words_of(one, where), " ".join(_words_of(other, where, fold=False))
        listed = into.setdefault(key, [])
        if said.casefold() not in (known.casefold() for known in listed):
            listed.append(said)


def _words_of(text: str, where: str, *, fold: bool = True) -> Words:
    words = tuple((text.casefold() if fold else text).split())
    if not words or not any(character.isalnum() for character in text):
        raise SettingsError(
            f"{text!r} has no word", where=where, mend="write words, or take it out"
        )
    if len(words) > _MOST_WORDS or '"' in text:
        raise SettingsError(
            f"{text[:60]!r} is no synonym", where=where, mend=f"at most {_MOST_WORDS} plain words"
        )
    return words


def _add_pin(into: dict[str, tuple[str, ...]], pin: _Pin, where: str) -> None:
    query = _folded(pin.query)
    if not query:
        raise SettingsError("query is empty", where=where, mend="name the query that is meant")
    if query in into:
        raise SettingsError(
            f"the query {pin.query!r} is pinned twice", where=where, mend="put all uris into one"
        )
    if any(not uri.strip() for uri in pin.uris) or len(set(pin.uris)) < len(pin.uris):
        raise SettingsError("a uri is empty or twice there", where=where, mend="name each once")
    into[query] = pin.uris


def _folded(query: str) -> str:
    return " ".join(query.casefold().split())


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return values that change when the file does; zeros if there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _mistake(error: ValidationError, path: Path) -> SettingsError:
    found = error.errors(include_input=False, include_url=False)
    # A misspelt name is often the reason why another is missing, so it is reported first.
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    place = ".".join(str(part) for part in first["loc"])
    unknown = first["type"] == "extra_forbidden"
    return SettingsError(
        f"the editors' file has an unknown member {place}" if unknown else str(first["msg"]),
        where=f"{path}: {place}",
        mend="members are synonyms (words, or from and to) and pins (query, uris)",
    )
