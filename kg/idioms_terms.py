"""What a piece of a forward pass is: a mask, a sum over experts, a function given by cases."""

from __future__ import annotations

import ast
from typing import Final

from kg.canonical import canonical
from kg.fold import fold, number_of
from kg.nodes import under
from kg.program import Statement


def at_zero(node: ast.Call) -> bool:
    """Tell whether a clamp cuts at zero: `x.clamp(min=0)`, not `x.clamp(0.5, 2)`."""
    lowest = [k.value for k in node.keywords if k.arg in (None, "min")] or node.args
    return any(fold_number(argument) == 0 for argument in lowest) or "zeros" in canonical(node)


def factors(node: ast.expr) -> list[ast.expr]:
    """Return the factors of a product, one of anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors(node.left), *factors(node.right)]
    return [node]


def gathered(value: ast.expr, target: ast.expr, statement: Statement) -> ast.expr:
    """Return what one pass of a loop adds to a sum: `out = out + p * expert(x)` over experts."""
    looped = any(isinstance(parent, ast.For) for parent in statement.parents)
    if not looped or not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Add):
        return value
    return value.right if canonical(value.left) == canonical(target) else value


def piecewise(node: ast.Call) -> str:
    """Name a function given by cases: `torch.where(x > 0, x * x, 0.1 * x)`."""
    if len(node.args) != 3 or not isinstance(node.args[0], ast.Compare):
        return ""
    return f"where({','.join(canonical(argument) for argument in node.args)})"


def attribute_called(function: ast.Attribute | ast.Subscript) -> str:
    """Return the attribute that a call is of: `net` of `self.net(x)`, also of `self.net[0](x)`."""
    inner = function.value if isinstance(function, ast.Subscript) else function
    return inner.attr if isinstance(inner, ast.Attribute) else ""


def is_plain(node: ast.BinOp) -> bool:
    """Tell whether a sum is of the same function's own values, not of projections of them."""
    return not any(isinstance(side, ast.Call) for side in (node.left, node.right))


def reads_locals(node: ast.expr) -> bool:
    """Tell whether a factor is made of anything in the pass, not only of what the module keeps."""
    formats = {
        id(n.value) for n in under(node) if isinstance(n, ast.Attribute) and n.attr in FORMATS
    }
    return any(
        isinstance(n, ast.Name) and n.id not in LIBRARY and id(n) not in formats
        for n in under(node)
    )


def is_mask(node: ast.expr) -> bool:
    """Tell whether a factor is a mask: by its name, or as it comes from a comparison."""
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in CAST)
    ):
        node = node.func.value
    return isinstance(node, ast.Compare) or (isinstance(node, ast.Name) and "mask" in node.id)


FORMATS: Final = frozenset({"dtype", "device", "shape"})


CAST: Final = frozenset({"to", "float", "type_as", "bfloat16", "half"})


LIBRARY: Final = frozenset({"self", "torch", "F", "math", "nn"})


def shifted(node: ast.BinOp) -> str:
    """Return `x-0.1` for an input with a number added or taken off, "" for other arithmetic."""
    number = fold_number(node.right)
    sign = {ast.Add: "+", ast.Sub: "-"}.get(type(node.op))
    return f"x{sign}{number:g}" if sign and number is not None else ""


def either(one: str, other: str) -> str:
    """Join what two branches do."""
    return one if one == other else "|".join(filter(None, (one, other)))


def fold_number(node: ast.expr) -> float | None:
    """Return the number a literal expression comes to."""
    return number_of(fold(node))
