"""One text for all spellings of a piece of Python: quotes, layout and brackets do not matter."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import Final


class Canon:
    """Writes canonical text and collects, on the way, the names and calls it met.

    Twice as fast as `ast.unparse` and unambiguous: every operator is bracketed. ``names``
    holds variables, attributes and keyword names; ``calls`` the call nodes, inner ones first.
    """

    __slots__ = ("calls", "names")

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.calls: list[ast.Call] = []

    def text(self, node: ast.AST | None) -> str:
        """Return the canonical text of one node; raises RecursionError if it nests too deep."""
        if node is None:
            return ""
        write = WRITERS.get(node.__class__)
        return write(self, node) if write else self.generic(node)

    def generic(self, node: ast.AST) -> str:
        """Write a node kind that has no short form of its own."""
        parts = [node.__class__.__name__]
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                parts.append("[" + ",".join(self.item(entry) for entry in value) + "]")
            else:
                parts.append(self.item(value))
        return "(" + " ".join(parts) + ")"

    def item(self, value: object) -> str:
        """Write one field of a node: another node, a name or nothing."""
        if isinstance(value, ast.AST):
            return self.text(value)
        if isinstance(value, str):
            self.names.add(value)
        return str(value)

    def name(self, node: ast.Name) -> str:
        """Write a variable."""
        self.names.add(node.id)
        return node.id

    def constant(self, node: ast.Constant) -> str:
        """Write a literal; `1` and `1.0` differ, `'a'` and `"a"` do not."""
        return repr(node.value)

    def attribute(self, node: ast.Attribute) -> str:
        """Write `value.attr`."""
        self.names.add(node.attr)
        return f"{self.text(node.value)}.{node.attr}"

    def call(self, node: ast.Call) -> str:
        """Write a call."""
        function = self.text(node.func)
        option = function.endswith("add_argument")
        parts = [self.text(argument) for argument in node.args]
        parts += [self.text(k) for k in node.keywords if not (option and k.arg == "help")]
        if option:
            self.option_named(node.args)
        self.calls.append(node)
        told = REFLECTION.get(function.rpartition(".")[2])
        if told is not None and len(node.args) > told:
            self.attribute_named(node.args[told])
        return f"{function}({','.join(parts)})"

    def option_named(self, given: list[ast.expr]) -> None:
        """Note what an option of the command line is read as: `--loop-start` as `loop_start`."""
        for argument in given:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                self.names.add(argument.value.lstrip("-").replace("-", "_"))

    def attribute_named(self, node: ast.expr) -> None:
        """Note an attribute that is given as text: `getattr(self, "cos")`, `f"cos_{i}"`."""
        first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.names.add(first.value)

    def keyword(self, node: ast.keyword) -> str:
        """Write `name=value` of a call."""
        if node.arg is None:
            return f"**{self.text(node.value)}"
        self.names.add(node.arg)
        return f"{node.arg}={self.text(node.value)}"

    def binary(self, node: ast.BinOp) -> str:
        """Write an operation of two."""
        return f"({self.text(node.left)}{OPERATORS[node.op.__class__]}{self.text(node.right)})"

    def unary(self, node: ast.UnaryOp) -> str:
        """Write a sign or `not`."""
        return f"({OPERATORS[node.op.__class__]}{self.text(node.operand)})"

    def compare(self, node: ast.Compare) -> str:
        """Write a comparison."""
        parts = [self.text(node.left)]
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts += [OPERATORS[operator.__class__], self.text(right)]
        return "(" + "".join(parts) + ")"

    def subscript(self, node: ast.Subscript) -> str:
        """Write `value[index]`."""
        return f"{self.text(node.value)}[{self.text(node.slice)}]"

    def tuple(self, node: ast.Tuple) -> str:
        """Write a tuple, bracketed or not."""
        return "(" + "".join(self.text(element) + "," for element in node.elts) + ")"

    def assign(self, node: ast.Assign) -> str:
        """Write an assignment."""
        return "=".join(self.text(target) for target in node.targets) + "=" + self.text(node.value)

    def expression(self, node: ast.Expr) -> str:
        """Write an expression that stands as a statement."""
        return self.text(node.value)


# Calls that name an attribute by a text, and which argument that is.
REFLECTION: Final = {"getattr": 1, "setattr": 1, "hasattr": 1, "delattr": 1,
                     "register_buffer": 0, "register_parameter": 0}  # fmt: skip
OPERATORS: Final[dict[type, str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.MatMult: "@", ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&",
    ast.BitOr: "|", ast.BitXor: "^", ast.USub: "-", ast.UAdd: "+", ast.Not: "not ",
    ast.Invert: "~", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.Is: " is ", ast.IsNot: " is not ", ast.In: " in ", ast.NotIn: " not in ",
}  # fmt: skip
WRITERS: Final[dict[type, Callable[..., str]]] = {
    ast.Name: Canon.name,
    ast.Constant: Canon.constant,
    ast.Attribute: Canon.attribute,
    ast.Call: Canon.call,
    ast.keyword: Canon.keyword,
    ast.BinOp: Canon.binary,
    ast.UnaryOp: Canon.unary,
    ast.Compare: Canon.compare,
    ast.Subscript: Canon.subscript,
    ast.Tuple: Canon.tuple,
    ast.Assign: Canon.assign,
    ast.Expr: Canon.expression,
}


@lru_cache(maxsize=2048)
def canonical(node: ast.AST | None) -> str:
    """Return the canonical text of a node, "" for None.

    >>> canonical(ast.parse("f( 'a' , (b))").body[0])
    "f('a',b)"
    """
    try:
        return Canon().text(node)
    except RecursionError:
        return "(too deep)"
