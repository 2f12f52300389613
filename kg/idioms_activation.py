"""The MLP's activation, read from the shape of its code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, callee
from kg.idioms_terms import (
    FORMATS,
    at_zero,
    attribute_called,
    either,
    factors,
    fold_number,
    gathered,
    is_mask,
    is_plain,
    piecewise,
    reads_locals,
    shifted,
)
from kg.idioms_width import expansion_setting
from kg.nodes import under
from kg.program import FORWARD, Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value

ACTIVATIONS: Final = frozenset(
    {"relu", "gelu", "silu", "selu", "elu", "celu", "mish", "tanh", "sigmoid", "softplus",
     "leaky_relu", "prelu", "rrelu", "hardswish", "hardtanh", "hardsigmoid", "relu6", "softsign",
     "swish", "logsigmoid", "sin", "cos", "exp", "erf", "tanhshrink", "glu",
     "squareplus", "quick_gelu", "abs"}
)  # fmt: skip
GATED: Final = {"silu": "swiglu", "gelu": "geglu", "relu": "reglu", "sigmoid": "glu"}


class Symbols:
    """Follows a value through a forward pass, keeping only the non-linearities it went through."""

    def __init__(self, program: Program, names: Names, owner: str) -> None:
        self.program, self.names, self.owner = program, names, owner
        self.known: dict[str, str] = {}
        self.masks: set[str] = set()
        self.touched: list[Statement] = []

    def run(self, statement: Statement) -> str:
        """Take one statement; returns the activation of a returned value."""
        node = statement.node
        if isinstance(node, ast.Return) and node.value is not None:
            return self.noted(statement, self.of(node.value))
        if isinstance(node, ast.AugAssign):
            whole: ast.expr = ast.BinOp(left=node.target, op=node.op, right=node.value)
            whole = gathered(whole, node.target, statement)
            self.bind(node.target, self.noted(statement, self.of(whole)))
        elif isinstance(node, ast.Assign) and is_mask(node.value):
            self.masks |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.Assign):
            whole = gathered(node.value, node.targets[0], statement)
            value = self.noted(statement, self.of(whole))
            for target in node.targets:
                self.bind(target, value)
        return ""

    def noted(self, statement: Statement, value: str) -> str:
        """Remember the statements that take part in an activation."""
        called = any(
            activation_name(c) or callee(c) in POWERS or callee(c) == "where" or self.held(c)
            for c in statement.calls
        )
        if value and (called or "**" in statement.text):
            self.touched.append(statement)
        return value

    def bind(self, target: ast.expr, value: str) -> None:
        """Give a value to the names of a target."""
        for node in under(target):
            if isinstance(node, ast.Name):
                self.known[node.id] = value

    def of(self, node: ast.expr) -> str:
        """Return the activation an expression has gone through, "" if none."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id, "")
        if isinstance(node, ast.Call):
            return self.of_call(node)
        if isinstance(node, ast.BinOp):
            return self.of_binary(node)
        if isinstance(node, ast.Attribute) and node.attr in FORMATS:
            return ""  # `gain.to(x.dtype)` asks x for its format only
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
            return self.of(node.value)
        if isinstance(node, ast.IfExp):
            return either(self.of(node.body), self.of(node.orelse))
        if isinstance(node, ast.List | ast.Tuple):
            return "|".join(dict.fromkeys(filter(None, map(self.of, node.elts))))
        if isinstance(node, ast.UnaryOp):
            inner = self.of(node.operand)
            return f"-{inner}" if inner else ""
        return ""

    def of_call(self, node: ast.Call) -> str:
        """Follow a call: an activation, a power, or something linear around one."""
        if callee(node) in RANDOM or callee(node) in STATISTICS:
            return ""
        if callee(node) == "where":
            return piecewise(node)
        stacked = self.held(node)
        if len(stacked) > 1:
            return "|".join(stacked)  # of an `nn.Sequential`
        name = activation_name(node) or "".join(stacked)
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        inner = next((found for arg in node.args if (found := self.of(arg))), "")
        if not inner and receiver is not None:
            inner = self.of(receiver)
        if name:
            options = [
                canonical(keyword.value) for keyword in node.keywords if keyword.arg != "inplace"
            ]
            options += [canonical(arg) for arg in node.args[1:] if fold_number(arg) is not None]
            shown = f"{name}({','.join(options)})" if options else name
            if not inner and node.args and isinstance(node.args[0], ast.BinOp):
                inner = shifted(node.args[0])
            return f"{shown}({inner})" if inner else shown
        power = POWERS.get(callee(node))
        if power is not None and inner:
            exponent = power or self.exponent(node, receiver)
            return f"{inner}^{exponent}"
        if callee(node) in CLAMPS and not inner:
            return "relu" if at_zero(node) and callee(node) != "max" else ""
        if callee(node) in CLAMPS[:2] and not at_zero(node):
            return f"{callee(node)}({canonical(node).rpartition('(')[2]}({inner})"
        return inner

    def exponent(self, node: ast.Call, receiver: ast.expr | None) -> str:
        """Return the exponent of `x.pow(3)` or `torch.pow(x, 3)`."""
        is_function = receiver is not None and canonical(receiver) in ("torch", "F")
        position = 1 if is_function else 0
        if len(node.args) > position:
            return self.program.source(node.args[position])
        return "?"

    def held(self, node: ast.Call) -> list[str]:
        """Return the activations behind `self.act(x)`: `nn.GELU()`, or all of a stack."""
        if not isinstance(node.func, ast.Attribute | ast.Subscript):
            return []
        for value, scope in self.names.attributes.get(attribute_called(node.func), []):
            if scope.startswith(self.owner) and isinstance(value, ast.Call):
                layers = value.args if callee(value) == "Sequential" else [value]
                found = [activation_name(made) for made in layers if isinstance(made, ast.Call)]
                return [name for name in found if name]
        return []

    def of_binary(self, node: ast.BinOp) -> str:
        """Follow arithmetic: powers, gates, scales and sums."""
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Pow):
            return f"{left}^{self.program.source(node.right)}" if left else ""
        if not left and not right:
            return ""
        sign = {ast.Mult: "*", ast.Add: "+", ast.Sub: "-", ast.Div: "/"}.get(type(node.op), "?")
        if left and right:
            if sign == "*" and len({canonical(factor) for factor in factors(node)}) == 1:
                return f"{right}^{len(factors(node))}"
            if left == right and sign in "+-" and not is_plain(node):
                return left  # two projections of one hidden layer
            return f"{left}{sign}{right}"
        active, other = (left, node.right) if left else (right, node.left)
        if any(isinstance(n, ast.Call) and callee(n) in RANDOM for n in under(other)):
            return active  # noise or a random mask leaves the function as it is
        if sign != "*":
            return active if sign == "/" else f"{active}{sign}x"
        number = fold_number(other)
        if number is not None:
            return f"{self.program.source(other)}*{active}"
        return self.gated(node, active, other)

    def gated(self, node: ast.BinOp, active: str, other: ast.expr) -> str:
        """Name a product of an activation with something linear: a gate, or `x * sigmoid(x)`."""
        inside = node.left if other is node.right else node.right
        if isinstance(inside, ast.Call) and inside.args:
            argument = canonical(inside.args[0])
            if canonical(other) in argument:
                own = {"sigmoid": "silu", "tanh(softplus)": "mish"}.get(active)
                return own or f"x*{active}"
        named = isinstance(other, ast.Name) and other.id in self.masks
        if named or is_mask(other) or isinstance(other, ast.Subscript) or not reads_locals(other):
            return active  # a learned gain or a mask leaves the function as it is
        return GATED.get(active, f"{active}-glu")


STATISTICS: Final = frozenset(
    {"mean", "sum", "std", "var", "median", "amax", "amin", "quantile", "kthvalue", "topk"}
)
CLAMPS: Final = ("clamp", "clamp_max", "clamp_min", "maximum", "max")
RANDOM: Final = frozenset({"rand_like", "randn_like", "rand", "randn", "bernoulli"})
POWERS: Final = {"square": "2", "square_": "2", "pow": "", "pow_": ""}


def activation_name(node: ast.Call) -> str:
    """Return the activation a call applies: `F.relu`, `torch.relu`, `nn.GELU()`, `x.relu()`."""
    name = callee(node).rstrip("_")
    plain = name.lower()
    plain = {"leakyrelu": "leaky_relu", "swish": "silu", "sigmoid_": "sigmoid"}.get(plain, plain)
    return plain if plain in ACTIVATIONS else ""


def activation_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield `mlp.activation` and `mlp.expansion` of each MLP class."""
    classes = [scope for scope in roles.scopes(Role.MLP) if scope in program.classes]
    used = [scope for scope in classes if scope.rpartition(".")[2] in names.called]
    for scope in used or classes:  # a class that nothing makes an object of cannot act
        found = activation_setting(program, names, scope)
        if found is not None:
            yield found
        yield from expansion_setting(program, names, scope)


def activation_setting(program: Program, names: Names, owner: str) -> Setting | None:
    """Run the forward pass of an MLP symbolically."""
    symbols, value = Symbols(program, names, owner), ""
    forward = next((f for n in FORWARD if (f := f"{owner}.{n}") in program.by_scope), "")
    for statement in program.by_scope.get(forward, []):
        value = symbols.run(statement) or value
    if not value or not symbols.touched:
        return None
    spans = tuple(statement.span for statement in symbols.touched)
    site = Site(f"{forward} > activation", forward, spans[-1], Rank.IDIOM)
    return replace(make_value("mlp.activation", value, site, token=value), covers=spans)
