"""Texts of functions that do not depend on what their parameters and locals are called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from kg.config_names import all_arguments, target_names
from kg.program import Program, Statement


def body_text(program: Program, scope: str) -> str:
    """Return the body of a function as one text, its own names numbered."""
    function = program.functions.get(scope)
    own = {argument.arg for argument in all_arguments(function)} if function else set()
    statements = program.by_scope.get(scope, [])
    for statement in statements:
        node = statement.node
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.For | ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        own |= {n for t in targets if not isinstance(t, ast.Attribute) for n in target_names(t)}
    return "\n".join(numbered((statement.text for statement in statements), own - {"self"}))


QUOTED = r"'(?:[^'\\]|\\.)*'"


def numbered(texts: Iterable[str], names: set[str]) -> list[str]:
    """Return texts with each of some names replaced by when it first appears."""
    if not names:
        return list(texts)
    seen: dict[str, str] = {}
    either = "|".join(map(re.escape, sorted(names)))
    word = re.compile(rf"{QUOTED}|(?<![\w.'])({either})(?![\w'])")

    def number(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group()  # what a message calls it is no name
        return seen.setdefault(match.group(1), f"?{len(seen)}")

    return [word.sub(number, text) for text in texts]


def in_order(statements: list[Statement]) -> list[str]:
    """Return the texts of some statements as they stand in the file."""
    return [s.text for s in sorted(statements, key=lambda statement: statement.span)]
