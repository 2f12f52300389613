"""Code that never runs in one pass with other code: the branches of a test."""

from __future__ import annotations

import ast

from kg.nodes import under
from kg.program import Statement


def excludes(one: Statement, other: Statement) -> bool:
    """Tell whether an earlier and a later statement are in branches of which one runs.

    The later one is in the `else`, or behind a branch that returns.
    """
    for parent in one.parents:
        if not isinstance(parent, ast.If) or not holds(parent.body, one):
            continue
        if holds(parent.orelse, other):
            return True
        leaves = isinstance(parent.body[-1], ast.Return | ast.Continue | ast.Break)
        if leaves and not holds(parent.body, other):
            return True
    return False


def holds(body: list[ast.stmt], statement: Statement) -> bool:
    """Tell whether a statement stands in a block."""
    return any(node is statement.node for outer in body for node in under(outer))
