"""A Python source as tree and bytes: nodes cut out exactly, literal arithmetic folded."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kg.syntax import syntax_tree

Value = int | float | str
Span = tuple[int, int]  # start and end in bytes of the UTF-8 source
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Program:
    """A parsed source with its bytes, so that nodes can be cut out exactly."""

    tree: ast.Module
    data: bytes
    starts: tuple[int, ...]  # byte offset of each line
    nodes: Mapping[type[ast.AST], Sequence[ast.AST]]  # by exact class, in the order of ast.walk

    @classmethod
    def read(cls, source: str) -> Program | None:
        """Parse a source; None if it is no Python."""
        tree = syntax_tree(source)
        if tree is None:
            return None
        data = source.encode()
        ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r", data)]
        nodes: dict[type[ast.AST], list[ast.AST]] = {}
        for node in ast.walk(tree):  # 8,000 nodes and 10 ms in train.py: once, not once a finder
            nodes.setdefault(type(node), []).append(node)
        return cls(tree, data, (0, *ends), nodes)

    def every(self, kind: type[Node]) -> Iterator[Node]:
        """Yield the nodes of one class."""
        for node in self.nodes.get(kind, ()):
            assert isinstance(node, kind)
            yield node

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Return where a node stands, in bytes."""
        assert node.end_lineno is not None  # ast.parse always sets both ends
        assert node.end_col_offset is not None
        first, last = self.starts[node.lineno - 1], self.starts[node.end_lineno - 1]
        return first + node.col_offset, last + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> str:
        """Return the source of a node."""
        start, end = self.span(node)
        return self.data[start:end].decode()


OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Pow: lambda a, b: a**b if abs(a) <= 1e6 and abs(b) <= 64 else math.nan,
}


def fold(node: ast.expr) -> Value | None:
    """Return the value of a literal expression such as ``2**19``; None if it is none."""
    if isinstance(node, ast.Constant):
        value = node.value
        return value if isinstance(value, int | float | str) else None
    parts: list[Value | None] = []
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operation, parts = OPERATIONS[ast.Sub], [0, fold(node.operand)]
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        operation, parts = OPERATIONS[type(node.op)], [fold(node.left), fold(node.right)]
    numbers = [part for part in parts if isinstance(part, int | float)]
    if len(numbers) != 2:
        return None
    try:
        result = operation(*numbers)
    except (ArithmeticError, ValueError):
        return None
    return result if isinstance(result, int | float) and abs(result) < 1e100 else None
