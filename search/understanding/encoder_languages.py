"""The languages that the encoder reads, and the note on a query in another language."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from core.languages.scripts import NAMES, SCRIPTS, script_of
from core.query_tree import Bool, Keyword, Node

MANY = "mul"  # the code of a model for many languages, by ISO 639-2


def unread_language(
    text: str, language: str, filters: Node, languages: Collection[str]
) -> tuple[str, ...]:
    """Return a note if the encoders do not read the query; they read `languages`. They do not if a
    filter asks for another language, if the query is in another one, or if most of its letters are
    of a script that none of `languages` has. `language` is the query's, "" if it is not known.

    BM25 answers such a query as any other, but its vectors mean little.
    """
    if not languages or MANY in languages:
        return ()
    read = ", ".join(sorted(languages))
    asked = [code for code in _asked(filters) if code.split("-")[0] not in languages]
    if asked:
        what = f"the query is for language {', '.join(asked)}"
    elif script := _foreign_script(text, languages):
        what = f"the query is in {script.capitalize()} letters"
    elif language and language not in languages:
        what = f"the query is in {NAMES[language]}"
    else:
        return ()
    said = f"{what}, and the vectors' model reads {read}: trust the matches by words"
    mend = "`dateline models pull multilingual-e5-small-q4` and the profile 'multilingual' read it"
    return (f"{said}; {mend}",)


def silent_fields(language: str, fields: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the vector fields that are left out for a query in `language`: their encoder does not
    read it, and another field's does. `fields` are the languages of each field's encoder, none if
    they are not known.
    """
    if not language:
        return ()
    silent = [name for name, read in fields.items() if not reads(language, read)]
    return tuple(silent) if len(silent) < len(fields) else ()


def reads(language: str, languages: Collection[str]) -> bool:
    """Return whether an encoder of `languages` reads one; unknown languages are taken to be all."""
    return not languages or MANY in languages or language in languages


def note_on_silent(language: str, silent: Collection[str]) -> tuple[str, ...]:
    """Return a note that says which vector fields have no say, if any."""
    if not silent:
        return ()
    named = ", ".join(silent)
    what = f"the query is in {NAMES.get(language, language)}, which the encoder of {named}"
    return (f"{what} does not read: it has no say",)


def _asked(node: Node) -> Iterator[str]:
    """Yield the languages that a filter lets through."""
    match node:
        case Keyword("language", values):
            yield from (value.casefold().replace("_", "-") for value in values)
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _asked(child)


def _foreign_script(text: str, languages: Collection[str]) -> str:
    """Return the script of most letters; "" if it is Latin or a language of the encoder uses it."""
    script = script_of(text)
    known = {SCRIPTS.get(code, "LATIN") for code in languages}
    return "" if script in known or script == "LATIN" else script
