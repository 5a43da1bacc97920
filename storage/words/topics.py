"""A vocabulary of subjects as a tree, such as IPTC's Media Topics.

The file is text with one topic a line: code, broader topic's code, label, another label and the day
it was retired, with tabs between them; the last ones may be left out. `# scheme: PREFIX URI` says
how codes are written in full: topic 15000000 of `# scheme: medtop http://cv.iptc.org/…/` is
`medtop:15000000`, or that address with the number behind it. Other lines with # are comments.
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
