"""Constant folding of Python expressions: the value a literal stands for, never executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TypeAlias

from kg.syntax import syntax_tree

Scalar: TypeAlias = int | float | str | bool | None
Value: TypeAlias = Scalar | tuple["Value", ...]


class Unfoldable(Enum):
    """The answer for an expression whose value cannot be known without running it."""

    UNFOLDABLE = "unfoldable"


UNFOLDABLE: Final = Unfoldable.UNFOLDABLE

# A sum of 64 terms nests 64 deep; every hyper-parameter of 883 real commits nests below 10.
MAX_DEPTH = 80
MAX_BITS = 1024  # wider integers than any float can hold are refused, so 9**9**9**9 ends at once
MAX_TEXT = 10_000  # characters of a folded string, or of an expression given as text
MAX_ITEMS = 1_000

Number: TypeAlias = int | float
Arithmetic: TypeAlias = Callable[[Number, Number], object]


def power(base: Number, exponent: Number) -> object:
    """Raise without ever building a huge integer: wide results go through floats."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent <= MAX_BITS:
            return base**exponent
        return float(base) ** exponent
    return float(base) ** float(exponent)


def shift_left(value: Number, places: Number) -> object:
    """Shift integers only, and only as far as MAX_BITS.

    Raises:
        TypeError: One side is no integer, or the shift goes too far.
    """
    if isinstance(value, int) and isinstance(places, int) and 0 <= places <= MAX_BITS:
        return value << places
    raise TypeError(places)


def shift_right(value: Number, places: Number) -> object:
    """Shift integers only.

    Raises:
        TypeError: One side is no integer, or the shift is negative.
    """
    if isinstance(value, int) and isinstance(places, int) and places >= 0:
        return value >> min(places, MAX_BITS)
    raise TypeError(places)


BINARY: Final[dict[type[ast.operator], Arithmetic]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
    ast.LShift: shift_left,
    ast.RShift: shift_right,
}
# Functions of numbers that configuration lines really use.
FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "int": int,
    "float": float,
    "round": round,
    "abs": abs,
    "min": min,
    "max": max,
    "sqrt": math.sqrt,
    "ceil": math.ceil,
    "floor": math.floor,
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "cos": math.cos,
    "sin": math.sin,
}
MODULES: Final = frozenset({"math", "np", "numpy"})
FAILURES: Final = (ArithmeticError, TypeError, ValueError, MemoryError, RecursionError)

Names: TypeAlias = Mapping[str, Value] | Callable[[ast.expr], "Value | Unfoldable"]


def fold(source: ast.expr | str, names: Names | None = None) -> Value | Unfoldable:
    """Return the value of an expression, or `UNFOLDABLE`; never raises, never hangs.

    ``names`` gives the values of names: a mapping, or a function that is asked for every name
    and attribute (`config.n_embd`) the expression mentions. Complex results, sets, strings
    longer than 10,000 characters and integers wider than 1024 bits are refused.

    >>> fold("int(2**17 * 0.75)")
    98304
    >>> fold("DEPTH * 64", {"DEPTH": 8})
    512
    >>> fold("9**9**9**9")
    <Unfoldable.UNFOLDABLE: 'unfoldable'>
    """
    node = parse_expression(source) if isinstance(source, str) else source
    if node is None:
        return UNFOLDABLE
    try:
        return value_of(node, names, 0)
    except FAILURES:
        return UNFOLDABLE


def parse_expression(text: str) -> ast.expr | None:
    """Parse one expression, None if the text is not one."""
    if len(text) > MAX_TEXT:
        return None
    tree = syntax_tree(text.strip(), "eval")
    return None if tree is None else tree.body


def value_of(node: ast.expr, names: Names | None, depth: int) -> Value | Unfoldable:
    """Fold one node; raises one of FAILURES where arithmetic does."""
    if isinstance(node, ast.Constant):
        return constant_value(node.value)
    if depth > MAX_DEPTH:
        return UNFOLDABLE
    if isinstance(node, NAMED):
        if names is None:
            return UNFOLDABLE
        if callable(names):
            return names(node)
        return names.get(node.id, UNFOLDABLE) if isinstance(node, ast.Name) else UNFOLDABLE
    if isinstance(node, ast.BinOp):
        return binary_value(node, names, depth)
    if isinstance(node, ast.UnaryOp):
        return unary_value(node, names, depth)
    if isinstance(node, SEQUENCES):
        return sequence_value(node, names, depth)
    if isinstance(node, ast.Call):
        return call_value(node, names, depth)
    return UNFOLDABLE


NAMED: Final = (ast.Name, ast.Attribute, ast.Subscript)
SEQUENCES: Final = (ast.Tuple, ast.List)
NUMBERS: Final = (int, float)


def constant_value(value: object) -> Value | Unfoldable:
    """Keep the literals a setting can hold; bytes, complex and Ellipsis are none."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else UNFOLDABLE
    if isinstance(value, float):
        return value if math.isfinite(value) else UNFOLDABLE
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else UNFOLDABLE
    return UNFOLDABLE


def binary_value(node: ast.BinOp, names: Names | None, depth: int) -> Value | Unfoldable:
    """Fold arithmetic on numbers, and the joining of two strings or sequences."""
    left = value_of(node.left, names, depth + 1)
    right = value_of(node.right, names, depth + 1)
    if isinstance(left, NUMBERS) and isinstance(right, NUMBERS):
        apply = BINARY.get(type(node.op))
        return checked(apply(left, right)) if apply else UNFOLDABLE
    if isinstance(node.op, ast.Add):
        if isinstance(left, str) and isinstance(right, str):
            return constant_value(left + right)
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right if len(left) + len(right) <= MAX_ITEMS else UNFOLDABLE
    return UNFOLDABLE


def unary_value(node: ast.UnaryOp, names: Names | None, depth: int) -> Value | Unfoldable:
    """Fold signs and `not`."""
    value = value_of(node.operand, names, depth + 1)
    if isinstance(node.op, ast.Not):
        return UNFOLDABLE if isinstance(value, Unfoldable) else not value
    if not isinstance(value, int | float):
        return UNFOLDABLE
    if isinstance(node.op, ast.USub):
        return -value
    if isinstance(node.op, ast.UAdd):
        return +value
    return ~value if isinstance(value, int) else UNFOLDABLE


def sequence_value(
    node: ast.Tuple | ast.List, names: Names | None, depth: int
) -> Value | Unfoldable:
    """Fold a tuple or list whose items all fold."""
    if len(node.elts) > MAX_ITEMS:
        return UNFOLDABLE
    items: list[Value] = []
    for element in node.elts:
        value = value_of(element, names, depth + 1)
        if isinstance(value, Unfoldable):
            return UNFOLDABLE
        items.append(value)
    return tuple(items)


def call_value(node: ast.Call, names: Names | None, depth: int) -> Value | Unfoldable:
    """Fold `int(...)`, `math.sqrt(...)` and the like, on numbers only."""
    name = ""
    if isinstance(node.func, ast.Name):
        name = node.func.id
    elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        name = node.func.attr if node.func.value.id in MODULES else ""
    function = FUNCTIONS.get(name)
    if function is None or node.keywords or not 0 < len(node.args) <= 4:
        return UNFOLDABLE
    numbers: list[Number] = []
    for argument in node.args:
        value = value_of(argument, names, depth + 1)
        if not isinstance(value, NUMBERS):
            return UNFOLDABLE
        numbers.append(value)
    return checked(function(*numbers))


def checked(value: object) -> Value | Unfoldable:
    """Refuse what no setting can be: complex numbers, infinities, not-a-number, huge integers."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else UNFOLDABLE
    if isinstance(value, float):
        return value if math.isfinite(value) else UNFOLDABLE
    return UNFOLDABLE


def number_of(value: object) -> float | None:
    """Return the value as a number to compare, None for text, booleans and unknowns."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if not isinstance(value, int) or value.bit_length() < MAX_BITS else None
