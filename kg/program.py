"""A parsed target file: its statements by scope, its functions, classes and constants."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kg.canonical import Canon

MAX_NESTING = 60  # blocks within blocks; real files stay below 12
# Functions that only hold the script's body: their statements belong to the module.
MAIN_NAMES: Final = frozenset(
    {"main", "train", "run", "run_training", "train_model", "run_experiment", "training_loop"}
)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Span: TypeAlias = tuple[int, int]


@dataclass(slots=True, eq=False)
class Statement:
    """One simple statement, or the header of a compound one, without its blocks."""

    node: ast.stmt
    scope: str  # `GPT.forward`, "" for the module
    text: str  # canonical
    span: Span  # first and last line, 1-based
    parents: tuple[ast.stmt, ...]  # enclosing if / for / while / with within the scope
    names: frozenset[str]
    calls: tuple[ast.Call, ...]
    decorators: tuple[str, ...] = ()
    key: str = ""  # what identifies it: scope and text, decorators included

    def moved(self, shift: int) -> Statement:
        """Return the statement as it stands some lines further down."""
        span = self.span[0] + shift, self.span[1] + shift
        return Statement(self.node, self.scope, self.text, span, self.parents, self.names,
                         self.calls, self.decorators, self.key)  # fmt: skip


@dataclass(slots=True, eq=False, weakref_slot=True)
class Unit:
    """Statements of the module that stand together, read through once.

    Versions of a file that have the same lines, wherever they stand, share the unit and its
    nodes. The line numbers of its nodes are its own: `Program.span` tells those in a file.
    """

    body: list[ast.stmt]
    home: int  # the number before the first one its nodes have
    length: int  # in lines
    statements: list[Statement] = field(default_factory=list)
    functions: list[tuple[str, Function]] = field(default_factory=list)
    classes: list[tuple[str, ast.ClassDef]] = field(default_factory=list)
    layout: list[str] = field(default_factory=list)  # depth and text of each statement
    names: frozenset[str] = frozenset()  # that its statements mention
    size: tuple[int, int] | None = None  # kg.fingerprint's counts, once they are asked for
    hinted: tuple[int, ...] | None = None  # the rules of kg.features that may match, likewise
    placed: tuple[int, list[Statement]] = (0, [])  # where it was asked for last

    def __post_init__(self) -> None:
        """Index the statements; raises RecursionError if they nest too deep."""
        index_block(self, self.body, "", (), 0)
        self.names = frozenset().union(*(statement.names for statement in self.statements))
        self.placed = (0, self.statements)

    def at(self, shift: int) -> list[Statement]:
        """Return the statements as they stand in a file, some lines below or above their own."""
        if shift == self.placed[0]:
            return self.placed[1]
        self.placed = (shift, [statement.moved(shift) for statement in self.statements])
        return self.placed[1]


@dataclass(slots=True, eq=False)
class Program:
    """Everything later stages ask about one version of a target file."""

    lines: list[str]
    units: list[Unit]
    statements: list[Statement] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    by_scope: dict[str, list[Statement]] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    layout: list[str] = field(default_factory=list)
    shifts: list[tuple[int, int]] = field(default_factory=list)  # home, lines from there

    def __post_init__(self) -> None:
        """Put the units together in the order of the file."""
        start = 0
        for unit in self.units:
            shift = start - unit.home
            self.shifts.append((unit.home, shift))
            start += unit.length
            self.statements += unit.at(shift)
            self.layout += unit.layout
            self.classes.update(unit.classes)
            for name, function in unit.functions:
                if name in MAIN_NAMES:
                    self.functions.setdefault(name, function)
                else:
                    self.functions[name] = function
        self.shifts.sort()
        for statement in self.statements:
            self.by_scope.setdefault(statement.scope, []).append(statement)

    def by_unit(self) -> Iterator[tuple[Unit, list[Statement]]]:
        """Yield the units with their statements as they stand in this file."""
        start = 0
        for unit in self.units:
            end = start + len(unit.statements)
            yield unit, self.statements[start:end]
            start = end

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Return the first and the last line of a node in this file, 1-based."""
        shift = self.shifts[bisect_left(self.shifts, (node.lineno,)) - 1][1]
        return node.lineno + shift, (node.end_lineno or node.lineno) + shift

    def source(self, node: ast.expr | ast.stmt) -> str:
        """Return the literal source of an expression, in one line, strings without quotes."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if not hasattr(node, "lineno"):
            return ""
        first, last = self.span(node)
        if not 0 < first <= last <= len(self.lines):
            return ""
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        if first == last:
            return cut(self.lines[first - 1], start, end)
        parts = [cut(self.lines[first - 1], start, None), *self.lines[first : last - 1]]
        parts.append(cut(self.lines[last - 1], 0, end))
        return " ".join(" ".join(part.split("#")[0] for part in parts).split())

    def mentioning(self, names: Set[str]) -> Iterator[Statement]:
        """Yield the statements that mention one of some names; most units are passed over."""
        for unit, statements in self.by_unit():
            if not names.isdisjoint(unit.names):
                yield from (one for one in statements if not names.isdisjoint(one.names))

    def calls(self) -> Iterator[tuple[Statement, ast.Call]]:
        """Yield every call with the statement it stands in."""
        for statement in self.statements:
            for call in statement.calls:
                yield statement, call

    def mentions(self, scope: str) -> Counter[str]:
        """Return how many statements mention each name: of a function, or for "" of all."""
        if scope not in self.counts:
            statements = self.by_scope.get(scope, []) if scope else self.statements
            self.counts[scope] = Counter(name for s in statements for name in s.names)
        return self.counts[scope]


def is_forward(scope: str) -> bool:
    """Tell whether a scope is a module's forward pass; MLX calls it `__call__`."""
    return scope.rpartition(".")[2] in FORWARD


FORWARD: Final = ("forward", "__call__")


def cut(line: str, start: int, end: int | None) -> str:
    """Cut a line at the byte offsets that ast gives."""
    if line.isascii():
        return line[start:end]
    return line.encode("utf-8", "replace")[start:end].decode("utf-8", "replace")


def index_block(
    unit: Unit, body: list[ast.stmt], scope: str, parents: tuple[ast.stmt, ...], depth: int
) -> None:
    """Index the statements of one block and, below them, of theirs.

    Raises:
        RecursionError: They nest deeper than MAX_NESTING.
    """
    if depth > MAX_NESTING:
        raise RecursionError
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring or a bare literal: no effect
        add_statement(unit, node, scope, parents, depth)
        inner, enclosing = scope_within(unit, node, scope, parents)
        for label, block in blocks(node):
            if label and block:
                unit.layout.append(f"{depth}{label}")
            index_block(unit, block, inner, enclosing, depth + 1)


def scope_within(
    unit: Unit, node: ast.stmt, scope: str, parents: tuple[ast.stmt, ...]
) -> tuple[str, tuple[ast.stmt, ...]]:
    """Return the scope and the enclosing statements of a statement's own blocks."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if not scope and node.name in MAIN_NAMES and not isinstance(node, ast.ClassDef):
            unit.functions.append((node.name, node))
            return "", ()
        name = f"{scope}.{node.name}" if scope else node.name
        if isinstance(node, ast.ClassDef):
            unit.classes.append((name, node))
        else:
            unit.functions.append((name, node))
        return name, ()
    return scope, (*parents, node)


def blocks(node: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield the statement blocks of a compound statement, each with the word that opens it."""
    yield "", getattr(node, "body", [])
    for handler in getattr(node, "handlers", []):
        yield "except", handler.body
    for case in getattr(node, "cases", []):
        yield "case", case.body
    yield "else", getattr(node, "orelse", [])
    yield "finally", getattr(node, "finalbody", [])


def add_statement(
    unit: Unit, node: ast.stmt, scope: str, parents: tuple[ast.stmt, ...], depth: int
) -> None:
    """Write one statement's canonical text and record it."""
    canon = Canon()
    text, last = header(canon, node)
    decorators = tuple(canon.text(item) for item in getattr(node, "decorator_list", []))
    whole = text + "@".join(("", *decorators))
    unit.layout.append(f"{depth}{whole}")
    unit.statements.append(
        Statement(
            node, scope, text, (node.lineno, last), parents, frozenset(canon.names),
            tuple(canon.calls), decorators, f"{scope}:{whole}",
        )
    )  # fmt: skip


def header(canon: Canon, node: ast.stmt) -> tuple[str, int]:
    """Return the canonical text of a statement without its blocks, and its last line."""
    if not hasattr(node, "body") and not hasattr(node, "cases"):
        return canon.text(node), node.end_lineno or node.lineno
    parts, last = [node.__class__.__name__], node.lineno
    for name in node._fields:
        if name in BLOCK_FIELDS:
            continue
        value = getattr(node, name)
        for entry in value if isinstance(value, list) else [value]:
            parts.append(canon.item(entry))
            last = max(last, last_line(entry))
    return " ".join(parts), last


BLOCK_FIELDS: Final = frozenset(
    {"body", "orelse", "finalbody", "handlers", "cases", "decorator_list", "type_comment"}
)


def last_line(node: object) -> int:
    """Return the last line of a node; `arguments` has no position of its own."""
    if isinstance(node, ast.arguments):
        entries = [*node.args, *node.kwonlyargs, *node.defaults, *node.kw_defaults]
        return max((last_line(entry) for entry in entries), default=0)
    if isinstance(node, ast.withitem):
        return last_line(node.context_expr)
    return getattr(node, "end_lineno", 0) or 0
