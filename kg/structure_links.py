"""Which changed statements are one edit: by names, by what calls what, by standing together."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from kg.config_names import assignments
from kg.program import Program, Statement, blocks


def links(
    removed: list[Statement], added: list[Statement], foreign: list[frozenset[str]]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of changed statements that belong together, by number."""
    first: dict[str, int] = {}
    for number, names in enumerate(foreign):
        for name in names:
            yield first.setdefault(name, number), number
    yield from local_links([*removed, *added], len(removed))
    yield from passed_links([*removed, *added], len(removed))
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, statement in enumerate(removed):
        places[statement.scope, target_text(statement)].append(number)
    for number, statement in enumerate(added, len(removed)):
        waiting = places[statement.scope, target_text(statement)]
        if waiting:
            yield waiting.pop(0), number


def local_links(statements: list[Statement], border: int) -> Iterator[tuple[int, int]]:
    """Yield the changed statements that share a local bound by one of them, or call a changed def.

    Numbers below ``border`` are of the old version: sides are linked elsewhere.
    """
    binders: dict[tuple[bool, str, str], int] = {}
    for number, statement in enumerate(statements):
        node = statement.node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name if node.name != "__init__" else statement.scope.rpartition(".")[2]
            binders[number < border, "def", name] = number
        for target, _ in assignments(node):
            local = bool(statement.scope or statement.parents)
            if isinstance(target, ast.Name) and local and target.id not in COMMON:
                binders.setdefault((number < border, statement.scope, target.id), number)
    for number, statement in enumerate(statements):
        for name in statement.names:
            for scope in ("def", statement.scope):
                binder = binders.get((number < border, scope, name))
                if binder is not None:
                    yield binder, number


def passed_links(statements: list[Statement], border: int) -> Iterator[tuple[int, int]]:
    """Yield each new or dropped parameter's function with the calls that name the parameter.

    Numbers below ``border`` are of the old version.
    """
    heads = [
        (number, statement, parameters(statement.node))
        for number, statement in enumerate(statements)
        if isinstance(statement.node, ast.FunctionDef)
    ]
    for number, head, taken in heads:
        rivals = (
            known
            for other, rival, known in heads
            if (other < border) != (number < border)
            and (rival.scope, target_text(rival)) == (head.scope, target_text(head))
        )
        fresh = taken - next(rivals, taken)
        for place, statement in enumerate(statements if fresh else ()):
            named = {k.arg for call in statement.calls for k in call.keywords}
            if (place < border) == (number < border) and named & fresh:
                yield number, place


def parameters(node: ast.FunctionDef) -> set[str]:
    """Return the names of a function's parameters."""
    return {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}


BUILT_IN: Final = frozenset(dir(builtins))  # a first use of `getattr` says nothing
# Names of the loop that many edits share.
COMMON: Final = frozenset({"loss", "x", "y", "p", "step", "progress", "group", "lrm", "logits"})


def nested(
    before: Program, after: Program, statements: list[Statement], border: int
) -> Iterator[tuple[int, int]]:
    """Yield each changed statement with the new header it stands under, by number.

    Numbers below ``border`` are of the old version; both may have a node, unchanged in one.
    """
    known = (before.functions.keys() | before.classes) & (after.functions.keys() | after.classes)
    headers = {(n < border, id(statement.node)): n for n, statement in enumerate(statements)}
    below = Counter(
        (n < border, id(parent)) for n, one in enumerate(statements) for parent in one.parents
    )
    owners = {
        name: number
        for number, statement in enumerate(statements)
        if isinstance(statement.node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        and (name := f"{statement.scope}.{statement.node.name}".lstrip(".")) not in known
    }
    sizes = {key: block_size(statements[number].node) for key, number in headers.items()}
    for number, statement in enumerate(statements):
        scope = statement.scope
        while scope:
            if scope in owners:
                yield owners[scope], number
            scope = scope.rpartition(".")[0]
        for parent in statement.parents:
            key = (number < border, id(parent))
            if key in headers and 2 * below[key] >= sizes[key]:
                yield headers[key], number


def block_size(node: ast.stmt) -> int:
    """Count the statements under a header; a guard around a whole script has hundreds."""
    return sum(1 + block_size(inner) for _, block in blocks(node) for inner in block)


def hunks(*sides: tuple[Program, list[Statement]]) -> Iterator[tuple[int, int]]:
    """Yield changed statements that stand side by side, or in each other's place, by number.

    Constants side by side at module level are separate edits, so only blocks and functions count.
    """
    scopes = {statement.scope for _, changed in sides for statement in changed}
    starts: dict[tuple[str, str], int] = {}
    first = 0
    for program, changed in sides:
        numbers = {id(statement): number for number, statement in enumerate(changed, first)}
        first += len(changed)
        for scope in scopes:
            anchor, last = "", None
            for statement in program.by_scope.get(scope, []):
                number = numbers.get(id(statement))
                if number is None:
                    anchor, last = statement.text, None
                    continue
                fields = scope in program.classes and not is_definition(statement)
                if fields or (not scope and not statement.parents and not is_expr(statement)):
                    continue
                if last is not None:
                    yield last, number
                else:
                    yield starts.setdefault((scope, anchor), number), number
                last = number


def is_expr(statement: Statement) -> bool:
    """Tell whether a statement only calls something."""
    return isinstance(statement.node, ast.Expr)


def is_definition(statement: Statement) -> bool:
    """Tell whether a statement is a function or a class: fields of a class are settings."""
    return isinstance(statement.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def target_text(statement: Statement) -> str:
    """Return what a statement assigns, or the start of what it calls or opens."""
    head = re.split(r"(?<![=!<>])=(?!=)|\(", statement.text, maxsplit=1)[0]
    return head or statement.text[:40]
