"""The width of an MLP's hidden layer in model widths, however its code comes to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, callee
from kg.fold import UNFOLDABLE, Unfoldable, Value, fold, number_of
from kg.nodes import under
from kg.program import Program, Statement
from kg.settings import LAYER_NAMES, Rank, Setting, Site, coefficient, make_value


def expansion_setting(program: Program, names: Names, owner: str) -> Iterator[Setting]:
    """Yield the width of the hidden layer in model widths: `4 * config.n_embd` is 4."""
    scope = f"{owner}.__init__"
    layers = [
        (statement, call)
        for statement in program.by_scope.get(scope, [])
        for call in statement.calls
        if callee(call).endswith("Linear") and len(call.args) >= 2
    ]
    if len(layers) < 2:
        return
    width = canonical(layers[0][1].args[0])
    statement, last = layers[-1]
    hidden, used = expand_local(program, names, last.args[0], scope)
    if canonical(hidden) == width:
        return
    site = Site(f"{scope} > hidden width", scope, statement.span, Rank.LOCAL)
    spans = tuple(s.span for s, _ in layers) + tuple(s.span for s in used)
    shown, ratio = width_ratio(program, names, hidden, layers[0][1].args[0], scope)
    if ratio is None or ratio < NARROW:
        return
    layered = layer_term(names, hidden, scope)
    base = make_value("mlp.expansion", program.source(layered) if layered else shown, site)
    base = replace(base, layered=layered is not None)
    yield replace(base, folded=ratio, token=canonical(hidden), literal=False, covers=spans)


def layer_term(names: Names, hidden: ast.expr, scope: str) -> ast.expr | None:
    """Return what differs from layer to layer in a width: `5 if layer_idx > 3 else 3`."""
    if not names.roots(hidden, scope) & LAYER_NAMES:
        return None
    for node in under(hidden):
        bound = names.definition(node, scope) if isinstance(node, ast.Name) else None
        if bound is not None and names.roots(bound[0], bound[1]) & LAYER_NAMES:
            return bound[0]
    return hidden


def expand_local(
    program: Program, names: Names, node: ast.expr, scope: str
) -> tuple[ast.expr, list[Statement]]:
    """Replace a local by the expression it was set to, with the statements that set it."""
    used: list[Statement] = []
    for _ in range(4):
        if isinstance(node, ast.Attribute):
            found = names.attributes.get(node.attr, [])
            key = next((b for b in found if b[1] == scope), None)
            if key is None or canonical(node.value) != "self":
                break
            node = key[0]
            used += [s for s in program.by_scope.get(scope, []) if node in under(s.node)]
        elif isinstance(node, ast.Name) and names.locals.get((scope, node.id)):
            first, *later = names.locals[scope, node.id]
            rounds = all(node.id in s.names and "//" in s.text for s in later)
            if not isinstance(first.node, ast.Assign) or not rounds:
                break
            used += [first, *later]
            node = first.node.value
        else:
            break
    return node, used


def width_ratio(
    program: Program, names: Names, hidden: ast.expr, width: ast.expr, scope: str
) -> tuple[str, float | None]:
    """Return the hidden width over the model width, as written and as a number."""
    inner = hidden
    while isinstance(inner, ast.Call) and callee(inner) in ("int", "round") and inner.args:
        inner = inner.args[0]
    number, rest = coefficient(inner)
    if number is not None and rest == (canonical(width),):
        shown = program.source(number) or ast.unparse(number).replace(" ", "")
        return shown, number_of(fold(number))
    wide = number_of(at_width(names, hidden, canonical(width), scope, 0))
    if wide is not None:
        return as_fraction(wide / WIDE) or program.source(hidden), round(wide / WIDE, 4)
    top, bottom = names.probe(hidden, scope), names.probe(width, scope)
    if not top or not bottom or not bottom[-1]:
        return "", None
    ratio = top[-1] / bottom[-1]
    return as_fraction(ratio) or program.source(hidden), round(ratio, 4)


def at_width(
    names: Names, node: ast.expr, width: str, scope: str, depth: int
) -> Value | Unfoldable:
    """Fold a hidden width for a model so wide that rounding to tiles does not show."""

    def value(name: ast.expr) -> Value | Unfoldable:
        if canonical(name) == width:
            return WIDE
        bound = names.definition(name, scope) if depth < DEPTH else None
        return at_width(names, bound[0], width, bound[1], depth + 1) if bound else UNFOLDABLE

    return fold(node, value)


WIDE: Final = 3 * 2**20
DEPTH: Final = 4  # locals that stand for locals


def as_fraction(ratio: float) -> str:
    """Return `8/3` or `2.5` for a ratio that is one, "" for any other.

    >>> as_fraction(21845 / 8192), as_fraction(2.5), as_fraction(3.14159)
    ('8/3', '2.5', '')
    """
    if abs(ratio * 4 - round(ratio * 4)) < ROUNDED:
        return f"{round(ratio * 4) / 4:g}"
    thirds = round(ratio * 3)
    return f"{thirds}/3" if abs(ratio * 3 - thirds) < 3 * ROUNDED else ""


NARROW: Final = 0.1  # a bottleneck of rank 16 is no hidden layer of an MLP
ROUNDED: Final = 0.02  # a width of 8192 rounded to a multiple of 128 is off by at most 1/64
