"""Hyper-parameters of a target file, read by AST with constant folding, for `params.json`.

DVC's own reader of Python params finds 14 of upstream's 15 constants and drops
`TOTAL_BATCH_SIZE = 2**19` without a word, and one tuple blanks every column, so it is not used.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import TypeAlias

Value: TypeAlias = int | float | str | bool | list["Value"]

MAX_TEXT = 120  # characters of one string value; longer ones are documents, not parameters


def extract_params(source: str) -> dict[str, Value]:
    """Return the upper-case module constants with literal or foldable values.

    A file that does not parse has no parameters: the run will tell why. Names refer to the
    constants above them (`STEPS = 4 * DEPTH`); a tuple becomes a list, as JSON has no tuples.

    >>> extract_params("DEPTH = 8\\nBATCH: int = 2**19\\nBETAS = (0.8, 0.95)\\nx = 1")
    {'DEPTH': 8, 'BATCH': 524288, 'BETAS': [0.8, 0.95]}
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    params: dict[str, Value] = {}
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id.isupper():
            folded = fold(value, params)
            if folded is not None:
                params[target.id] = folded
    return params


def fold(node: ast.expr, known: dict[str, Value]) -> Value | None:
    """Return the value of a constant expression, or None if it has no value without running.

    CPython's own compiler folds the expression (and refuses to fold `9**9**9**9` or
    `"a" * 10**9`); nothing is executed. Names of known constants are put in first.
    """
    if isinstance(node, ast.Tuple | ast.List):
        parts = [fold(part, known) for part in node.elts]
        return None if None in parts else [part for part in parts if part is not None]
    try:
        expression = ast.Expression(ast.fix_missing_locations(Substitute(known).visit(node)))
        code = compile(expression, "<constant>", "eval")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, OverflowError):
        return None
    value = sole_constant(code)
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else None
    if isinstance(value, float) and value - value != 0:  # inf and nan have no JSON form
        return None
    return value if isinstance(value, bool | int | float) else None


class Substitute(ast.NodeTransformer):
    """Put the values of known scalar constants in the place of their names."""

    def __init__(self, known: dict[str, Value]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a known name; leave any other as it is."""
        value = self.known.get(node.id)
        return node if value is None or isinstance(value, list) else ast.Constant(value)


def sole_constant(code: CodeType) -> object:
    """Return the constant a compiled expression returns, None if it computes anything."""
    import dis

    work = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP", "CACHE")]
    names = [i.opname for i in work]
    if names == ["LOAD_CONST", "RETURN_VALUE"] or names == ["RETURN_CONST"]:
        return work[0].argval
    if names == ["LOAD_SMALL_INT", "RETURN_VALUE"]:  # Python 3.14
        return work[0].argval
    return None
