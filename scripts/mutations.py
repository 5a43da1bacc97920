"""Small changes of code that tests should notice: `scripts/mutants.py` asks them.

Operators, conditions, constants, members of enumerations, statements, what a function returns, and
the order of arguments. Left alone are annotations, decorators, imports, lines of logs, and texts
for people: what is said in an error, and f-strings.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

_TEXT = 90  # characters of a text before and after in a name
_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_DROPPED = (ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SYMMETRIC = {"max", "min", "isinstance", "TypeVar"}
_LOGS = {"log", "_log", "logger"}
_NO_CODE = {"annotation", "returns", "decorator_list", "type_params", "ctx", "op", "ops"}
_WORD = re.compile(r"[a-z_]{2,}")
_TYPE = re.compile(r"None|str|int|float|bytes|bool|list|tuple|dict|[A-Z][a-z]\w*")
_CLASS = re.compile(r"[A-Z][a-z]\w*")


@dataclass(frozen=True, slots=True)
class Change:
    """One change that a file's tree may get; `apply` makes it."""

    scope: str
    kind: str
    line: int
    before: str
    after: str
    apply: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file with the change at `place` of all that it may get."""

    id: str
    file: str
    line: int
    before: str
    after: str
    place: int


def mutants_of(sources: Mapping[str, str]) -> tuple[Mutant, ...]:
    """Return all mutants of files, by their text."""
    seen: Counter[str] = Counter()
    found = []
    for file, source in sources.items():
        for place, change in enumerate(changes_of(ast.parse(source))):
            name = f"{change.scope} | {change.kind} | {change.before} => {change.after}"
            seen[name] += 1
            place_of = (file, change.line, change.before, change.after, place)
            found.append(Mutant(f"{name} | {seen[name]}", *place_of))
    return tuple(found)


def mutated(source: str, path: str, place: int) -> CodeType:
    """Return the code of a file with the change at `place`."""
    tree = ast.parse(source)
    changes_of(tree)[place].apply()
    return compile(ast.fix_missing_locations(tree), path, "exec")


def sampled(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return `count` of the mutants. Whether one is among them depends on nothing but its name, but
    for the last ones.
    """

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed}\n{mutant.id}".encode()).digest()

    return sorted(mutants, key=lot)[:count]


def changes_of(tree: ast.Module) -> list[Change]:
    """Return every change that the tree may get, in the order of its text."""
    members: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if (named := _enum_member(node)) is not None:
            members.setdefault(named[0], set()).add(named[1])
    return list(_within(tree, "", members))


def _within(node: ast.AST, scope: str, members: Mapping[str, set[str]]) -> Iterator[Change]:
    """Yield the changes in a node that `scope` names."""
    for name, value in ast.iter_fields(node):
        if name in _NO_CODE:
            continue
        for child, put in _slots(node, name, value):
            for kind, new in (*_instead(child, scope, members), *_negated(node, name, child)):
                where = (scope or "<module>", kind, getattr(child, "lineno", 0))
                apply = partial(put, ast.copy_location(new, child))
                yield Change(*where, _text(child), _text(new), apply)
            if not _is_prose(child):
                yield from _within(child, _scope_of(child, node, scope), members)


def _scope_of(node: ast.AST, parent: ast.AST, scope: str) -> str:
    """Return the name of what a node is in: a function, a class, or a value of a class or
    module.
    """
    name = node.name if isinstance(node, _FUNCTIONS) else ""
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
        parent, ast.Module | ast.ClassDef
    ):
        name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return f"{scope}.{name}".strip(".") if name else scope


def _slots(
    node: ast.AST, name: str, value: Any
) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Yield the nodes of a field, and what puts another one in the place of each."""
    if isinstance(value, ast.AST):
        yield value, partial(setattr, node, name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, ast.AST):
                yield child, partial(value.__setitem__, index)


def _is_prose(node: ast.AST) -> bool:
    """Return whether a node's content is text for people, or code that does not run."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_log(node)
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom)


def _is_log(node: ast.Expr) -> bool:
    call = node.value
    function = call.func if isinstance(call, ast.Call) else None
    of = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(of, ast.Name) and of.id in _LOGS


def _instead(
    node: ast.AST, scope: str, members: Mapping[str, set[str]]
) -> Iterator[tuple[str, ast.AST]]:
    """Yield what may stand in the place of a node, each with the kind of the change."""
    if isinstance(node, ast.stmt):
        yield from _other_statements(node)
    elif isinstance(node, ast.Constant):
        yield from (("constant", ast.Constant(value)) for value in _other_values(node.value))
    elif isinstance(node, ast.Call):
        yield from _swapped(node)
    elif (named := _enum_member(node)) is not None:
        others = sorted(members[named[0]])
        other = others[(others.index(named[1]) + 1) % len(others)]
        if other != named[1]:
            yield "constant", _with(node, attr=other)
    elif not _joins_types(node):
        yield from _other_operators(node)


def _other_operators(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        for index, one in enumerate(node.ops):
            ops = [*node.ops[:index], _OPERATORS[type(one)](), *node.ops[index + 1 :]]
            yield "comparison", _with(node, ops=ops)
    elif isinstance(node, ast.BoolOp):
        yield "boolean", _with(node, op=_OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield "boolean" if isinstance(node.op, ast.Not) else "arithmetic", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield "arithmetic", _with(node, op=_OPERATORS[type(node.op)]())


def _other_statements(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _is_log(node)
    is_kept = isinstance(node, ast.Assign) and isinstance(
        node.targets[0], ast.Attribute | ast.Subscript
    )
    if is_call or is_kept or isinstance(node, _DROPPED):
        yield "statement", ast.Pass()
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        yield "arithmetic", _with(node, op=_OPERATORS[type(node.op)]())
    if isinstance(node, ast.Return) and node.value is not None:
        for text in ("None", *_empty(node.value)):
            if ast.unparse(node.value) != text:
                yield "return", _with(node, value=ast.parse(text, mode="eval").body)


def _empty(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.List | ast.ListComp):
        yield "[]"
    elif isinstance(value, ast.Dict | ast.DictComp):
        yield "{}"
    elif isinstance(value, ast.Set | ast.SetComp):
        yield "set()"


def _negated(parent: ast.AST, name: str, child: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the opposite of a condition that no change of an operator turns round."""
    is_test = name == "test" or (name == "ifs" and isinstance(parent, ast.comprehension))
    turned = isinstance(child, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant)
    if is_test and isinstance(child, ast.expr) and not turned:
        yield "condition", ast.UnaryOp(ast.Not(), child)


def _swapped(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    """Yield the call with its first two arguments exchanged."""
    first, second = (*node.args, None, None)[:2]
    named = isinstance(node.func, ast.Name) and node.func.id in _SYMMETRIC
    if first is None or second is None or named:
        return
    starred = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
    if not starred and ast.dump(first) != ast.dump(second):
        yield "arguments", _with(node, args=[second, first, *node.args[2:]])


def _other_values(value: object) -> tuple[bool | int | float | str, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int | float):
        return (value + 1, value - 1)
    return (f"{value}~",) if isinstance(value, str) and _WORD.fullmatch(value) else ()


def _enum_member(node: ast.AST) -> tuple[str, str] | None:
    """Return the class and the name of what looks like a member of an enumeration."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return None
    is_one = _CLASS.fullmatch(node.value.id) and node.attr.isupper()
    return (node.value.id, node.attr) if is_one else None


def _joins_types(node: ast.AST) -> bool:
    """Return whether it is `|` between names as classes have them, or None."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    return any(_TYPE.fullmatch(ast.unparse(part)) for part in (node.left, node.right))


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
