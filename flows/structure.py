"""Knobs inside functions and classes of a GPT trainer, each found by its shape in the AST."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence

from flows.edits import Kind, Knob
from flows.syntax import Program, Span, fold

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def structural_knobs(program: Program) -> Iterator[Knob]:
    """Yield the knobs that are no constants, where the file has them; others yield nothing.

    Activation of the MLP and its expansion, the logits' softcap (value and removal), the base
    of the rotary positions, the short window, initial scales, weight decay of param groups.
    """
    for find in FINDERS:
        yield from find(program)


def activation(program: Program) -> Iterator[Knob]:
    """Squared ReLU, GELU or SiLU: ``F.relu(x).square()``, ``F.relu(x) ** 2``, ``F.gelu(x)``."""
    nodes = (*program.every(ast.Call), *program.every(ast.BinOp))
    found = [pair for node in nodes if (pair := activation_of(node))]
    if len(found) != 1:
        return  # none, or several whose part is not known
    node, (name, inside) = found[0]
    text = program.text(inside)
    prefix = "F." if re.search(rb"\bfunctional as F\b", program.data) else "torch.nn.functional."
    choices = {
        "relu^2": (f"{prefix}relu({text}).square()",),
        "gelu": (f"{prefix}gelu({text})",),
        "silu": (f"{prefix}silu({text})",),
    }
    choices[name] = (program.text(node),)
    yield Knob("activation", Kind.CHOICE, name, (program.span(node),), text, 1.5, choices=choices)


def activation_of(node: ast.AST) -> tuple[ast.expr, tuple[str, ast.expr]] | None:
    """Return the expression, the activation's name and what it acts on."""
    squared: ast.expr | None = None
    if isinstance(node, ast.Call) and called(node) in ("square", "pow") and not node.keywords:
        given = [fold(argument) for argument in node.args]
        if isinstance(node.func, ast.Attribute) and given in ([], [2]):
            squared = node.func.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and fold(node.right) == 2:
        squared = node.left
    if isinstance(squared, ast.Call) and called(squared) == "relu" and len(squared.args) == 1:
        assert isinstance(node, ast.expr)
        return node, ("relu^2", squared.args[0])
    if (
        isinstance(node, ast.Call)
        and called(node) in ("gelu", "silu")
        and isinstance(node.func, ast.Attribute)
        and len(node.args) == 1
        and not node.keywords
    ):
        return node, (called(node), node.args[0])
    return None


def called(node: ast.Call) -> str:
    """Return the last name of what a call calls."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def expansion(program: Program) -> Iterator[Knob]:
    """The hidden width of an MLP class: every ``4 * width`` in it."""
    for scope in scopes(program, ast.ClassDef, r"mlp|feed_?forward|ffn"):
        factors = [
            node.left
            for node in ast.walk(scope)
            if isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mult)
            and isinstance(node.left, ast.Constant)
            and type(node.left.value) is int
            and isinstance(node.right, ast.Name | ast.Attribute)
        ]
        values = {fold(factor) for factor in factors}
        if len(factors) >= 2 and len(values) == 1:
            yield number(program, "mlp_expansion", Kind.COUNT, factors, 1.5, low=1, high=8)


def softcap(program: Program) -> Iterator[Knob]:
    """``c * tanh(x / c)``: the value of c where it is a local literal, and the whole term."""
    for node in program.every(ast.BinOp):
        parts = capped(node)
        if parts is None:
            continue
        cap, again, inside = parts
        spans: tuple[Span, ...] = (program.span(node),)
        whole: tuple[str, ...] = (program.text(node),)
        gone: tuple[str, ...] = (program.text(inside),)
        if isinstance(cap, ast.Constant):
            yield number(program, "softcap", Kind.RATE, [cap, again], 1.5, low=1)
        elif isinstance(cap, ast.Name):
            line = local_literal(program, cap.id)
            if line is not None:
                yield number(program, "softcap", Kind.RATE, [line.value], 1.5, low=1)
                spans = (line_span(program, line), *spans)
                whole = (program.data[slice(*spans[0])].decode(), *whole)
                gone = ("", *gone)
        choices = {"on": whole, "removed": gone}
        yield Knob("logit cap", Kind.CHOICE, "on", spans, "", 0.8, choices=choices)


def capped(node: ast.BinOp) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """Return (c, c, x) of ``c * tanh(x / c)``, in either order."""
    if not isinstance(node.op, ast.Mult):
        return None
    for cap, tanh in ((node.left, node.right), (node.right, node.left)):
        if isinstance(tanh, ast.Call) and called(tanh) == "tanh" and len(tanh.args) == 1:
            inner = tanh.args[0]
            if (
                isinstance(inner, ast.BinOp)
                and isinstance(inner.op, ast.Div)
                and ast.dump(inner.right) == ast.dump(cap)
            ):
                return cap, inner.right, inner.left
    return None


def local_literal(program: Program, name: str) -> ast.Assign | None:
    """Return the only assignment of a lower-case name, if it is a number's."""
    uses = [node for node in program.every(ast.Name) if node.id == name]
    lines = [
        node
        for node in program.every(ast.Assign)
        if [target.id for target in node.targets if isinstance(target, ast.Name)] == [name]
    ]
    stores = [node for node in uses if isinstance(node.ctx, ast.Store)]
    if len(lines) == len(stores) == 1 and len(uses) == 3 and not name.isupper():
        return lines[0] if isinstance(fold(lines[0].value), int | float) else None
    return None


def line_span(program: Program, node: ast.stmt) -> Span:
    """Return the whole lines of a statement, its comment and line end included."""
    return program.starts[node.lineno - 1], program.starts[node.end_lineno or node.lineno]


def rope_base(program: Program) -> Iterator[Knob]:
    """The default of a parameter ``base`` or ``theta`` of 100 or more, where no call sets it."""
    names = re.compile(r"base|rope_base|rope_theta|theta")
    given = {keyword.arg for node in program.every(ast.Call) for keyword in node.keywords}
    for node in program.every(ast.FunctionDef):
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = [
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for argument, default in pairs:
            value = fold(default) if default is not None else None
            if default is None or not names.fullmatch(argument.arg) or argument.arg in given:
                continue
            if isinstance(value, int | float) and value >= 100:
                yield number(program, "rope_base", Kind.RATE, [default], 1.5, low=100, upwards=1)


def short_window(program: Program) -> Iterator[Knob]:
    """``context // 2`` in a function or line about windows."""
    for scope in scopes(program, ast.FunctionDef, r"window"):
        found = [
            node.right
            for node in ast.walk(scope)
            if isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.FloorDiv)
            and fold(node.right) in (2, 4, 8)
            and re.search(r"long|seq|context|block_size", program.text(node.left))
        ]
        if len(found) == 1:
            yield number(
                program, "short_window_divisor", Kind.POWER, found, 2.0, low=2, high=16, upwards=1
            )


def initial_scales(program: Program) -> Iterator[Knob]:
    """``x.fill_(0.1)`` and ``x.normal_(std=0.02)``: how a parameter starts."""
    for node in program.every(ast.Call):
        if not isinstance(node.func, ast.Attribute):
            continue
        scale: ast.expr | None = None
        if node.func.attr == "fill_" and len(node.args) == 1:
            scale = node.args[0]
        elif node.func.attr == "normal_":
            named = [keyword.value for keyword in node.keywords if keyword.arg == "std"]
            scale = named[0] if named else node.args[1] if len(node.args) == 2 else None
        value = fold(scale) if scale is not None else None
        owner = program.text(node.func.value).removesuffix(".data").removesuffix(".weight")
        name = owner.rsplit(".", 1)[-1]
        if scale is not None and name.isidentifier() and isinstance(value, int | float) and value:
            yields = 0.5 if value == 1 else 1.5
            yield number(program, f"{name} init", Kind.RATE, [scale], yields)


def group_decays(program: Program) -> Iterator[Knob]:
    """``weight_decay=0.0`` in the dict of a param group, named by what the group holds."""
    for node in (*program.every(ast.Call), *program.every(ast.Dict)):
        entries: dict[str, ast.expr] = {}
        if isinstance(node, ast.Call) and called(node) == "dict":
            entries = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        elif isinstance(node, ast.Dict):
            entries = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
        decay, params = entries.get("weight_decay"), entries.get("params")
        if decay is None or params is None or not isinstance(fold(decay), int | float):
            continue
        named = fold(entries["name"]) if "name" in entries else None
        words = re.findall(r"\w+", program.text(params))
        name = named or next((w for w in reversed(words) if w not in ("weight", "parameters")), "")
        yields = 0.2 if re.search("lambda|scalar|bias|resid|x0", str(name)) else 1.2
        yield number(program, f"{name} weight_decay", Kind.RATE, [decay], yields, low=0, upwards=1)


def scopes(program: Program, kind: type[Scope], names: str) -> Iterator[Scope]:
    """Yield classes or functions whose name has a pattern in it."""
    for node in program.every(kind):
        if re.search(names, node.name, re.IGNORECASE):
            yield node


def number(
    program: Program,
    name: str,
    kind: Kind,
    nodes: Sequence[ast.expr],
    yields: float,
    *,
    low: float = 0.0,
    high: float = 1e9,
    upwards: int = 0,
) -> Knob:
    """Return the knob of one number that stands at one or more places."""
    value = fold(nodes[0])
    assert value is not None  # the finders look before they call
    spans = tuple(program.span(node) for node in nodes)
    return Knob(name, kind, value, spans, program.text(nodes[0]), yields, low, high, upwards)


FINDERS: tuple[Callable[[Program], Iterator[Knob]], ...] = (
    activation, expansion, softcap, rope_base, short_window, initial_scales, group_decays
)  # fmt: skip
