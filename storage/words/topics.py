"""A vocabulary of subjects as a tree, such as IPTC's Media Topics: which topics lie below which.

The file is text, one topic a line, with tabs between code, broader topic's code, label, another
label and the day it was retired; whatever stands last may be left out. `# scheme: PREFIX URI` says
how codes are written in full: topic 15000000 of `# scheme: medtop http://cv.iptc.org/…/` is
`medtop:15000000` or that address with the number behind it. Other lines with # are for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError

MEDIA_TOPICS = Path(__file__).with_name("media_topics.tsv")
_SCHEME = re.compile(r"#\s*scheme:\s*(\S+)\s+(https?)://(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Topics:
    """Each topic's broader one ("" at the top), its label as the file writes it, and the topics of
    each casefolded label.
    """

    prefix: str = ""
    address: str = ""
    broader: Mapping[str, str] = field(default_factory=dict)
    by_label: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def code(self, text: str) -> str:
        """The topic that a code in any of its spellings means, "" where that is none."""
        folded = text.casefold().strip()
        bare = folded.removeprefix("https://").removeprefix("http://")
        if bare != folded:
            bare = bare.removeprefix(self.address)
        else:
            bare = bare.removeprefix(f"{self.prefix}:")
        return bare if bare in self.broader else ""

    def spellings(self, code: str) -> tuple[str, ...]:
        """Every way to write a topic's code, casefolded (see `code`)."""
        bare = (code, *((self.address + code,) if self.address else ()))
        full = (f"{scheme}{name}" for scheme in ("http://", "https://") for name in bare)
        return (code, f"{self.prefix}:{code}", *full)

    def meant(self, text: str) -> tuple[str, ...]:
        """The topics that a code or a label means; two may have one label."""
        code = self.code(text)
        return (code,) if code else self.by_label.get(text.casefold().strip(), ())

    def line(self, code: str) -> Iterator[str]:
        """A topic and every broader one, upwards."""
        while code:
            yield code
            code = self.broader[code]


def read_topics(path: Path) -> Topics:
    """The topics of a file. Raises InputError for one that can't be read, with the line."""
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
    """Enters a topic; gives its code and its labels, each once but for case."""
    code, above, *names = (part.strip() for part in (*line.split("\t"), "", ""))
    code = code.casefold()
    if not code or code in broader:
        what = f"the code {code!r} stands here twice" if code else "a line has no code"
        raise InputError(what, where=where, mend="give each topic one line and a code of its own")
    broader[code] = above.casefold()
    return code, tuple({name.casefold(): name for name in names[:2] if name}.values())


def _check(broader: Mapping[str, str], path: Path) -> None:
    """Every topic must lead up to one without a broader topic."""
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
