"""The residual stream of a block: each update of it, with locals put in their place."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kg.config_names import callee
from kg.nodes import under
from kg.program import Statement

NORM_CALL: Final = re.compile(
    r"^(norm\d?|\w*_norm\d?|\w*rms_?norm\w*|layer_norm|ln_?\w{0,6}|\w+_ln|norm_\w+|normali[sz]e)$",
    re.I,
)
ATTENTION_NAME: Final = re.compile(r"attn|attention", re.I)
MLP_NAME: Final = re.compile(r"mlp|ffn?$|feed|moe|expert", re.I)


def is_norm(node: ast.AST) -> bool:
    """Tell whether a node calls a normalisation."""
    return isinstance(node, ast.Call) and bool(NORM_CALL.match(callee(node)))


def has_norm(node: ast.AST) -> bool:
    """Tell whether an expression normalises anything."""
    return any(is_norm(inner) for inner in under(node))


def branch_part(node: ast.AST) -> str:
    """Return `attn` or `mlp` for a call of such a sub-module, "" for anything else."""
    if not isinstance(node, ast.Call) or is_norm(node):
        return ""
    name = callee(node)
    if name == "checkpoint" and node.args and isinstance(node.args[0], ast.Attribute):
        name = node.args[0].attr  # `checkpoint(self.attn, norm(x))` calls it
    if ATTENTION_NAME.search(name):
        return "attn"
    return "mlp" if MLP_NAME.match(name) else ""


def branches_in(node: ast.AST) -> set[str]:
    """Return the branches an expression calls, `attn` and `mlp`."""
    return {branch_part(inner) for inner in under(node)} - {""}


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """One statement of a block's forward pass that calls a branch."""

    statement: Statement
    whole: ast.expr  # its value, locals replaced by what they were set to
    used: tuple[Statement, ...]  # the statements that set those locals


def stream_updates(statements: list[Statement]) -> Iterator[Update]:
    """Yield the statements of a forward pass that call attention or the MLP, in order.

    `h = norm(x); y = attn(h); x = x + y` is read as one update `x + attn(norm(x))`. A name
    that holds the stream itself (`h = x + attn(...)`) is not replaced: it is the stream.
    """
    local: dict[str, tuple[ast.expr, tuple[Statement, ...]]] = {}
    streams, seen = {"x"}, set[str]()
    for statement in statements:
        node = statement.node
        value = node.value if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) else None
        if value is None:
            continue
        names = {n.id for n in under(value) if isinstance(n, ast.Name) and n.id in local}
        whole = inline(value, {name: local[name][0] for name in names})
        if branches_in(whole):
            used = tuple(used for name in sorted(names) for used in local[name][1])
            yield Update(statement, whole, used)
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name):
            kept = len(streams) > 1 and rebound(statement, whole)
            if target.id in streams and kept and not continues(whole, streams):
                streams.discard(target.id)  # after `kept = x` the stream is `kept`
                local[target.id] = (whole, (statement,))
            elif target.id in streams or continues(whole, streams):
                streams.add(target.id)
                local.pop(target.id, None)
            elif not (rebound(statement, whole) if target.id in seen else is_small(whole)):
                local.pop(target.id, None)  # differs by branch: stands for itself
            else:
                used = tuple(used for name in sorted(names) for used in local[name][1])
                local[target.id] = (whole, (*used, statement))
            seen.add(target.id)
        elif isinstance(target, ast.Tuple) and rebound(statement, whole):
            for part, made in parts_set(target, whole):
                if isinstance(part, ast.Name) and part.id not in streams:
                    local[part.id] = (made, (statement,))


def parts_set(target: ast.Tuple, whole: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what is set at once, each with its value: `a, m = attn(h), mlp(h)`.

    Of `out, aux = self.mlp(...)` what comes with a branch is part of it.
    """
    if isinstance(whole, ast.Tuple):
        yield from zip(target.elts, whole.elts, strict=False)
    elif branches_in(whole):
        yield from ((part, whole) for part in target.elts)


def rebound(statement: Statement, whole: ast.expr) -> bool:
    """Tell whether a local is set anew whatever the case: `h = 0.5 * h + 0.5 * before`."""
    if any(isinstance(parent, ast.If) for parent in statement.parents):
        return False
    return is_small(whole)


def is_small(whole: ast.expr) -> bool:
    """Tell whether a value can be put where its name is: a square of squares doubles each time."""
    return sum(1 for _ in islice(ast.walk(whole), LARGE)) < LARGE


LARGE: Final = 400


def continues(node: ast.expr, streams: set[str]) -> bool:
    """Tell whether an expression is the stream, or the stream with something added."""
    return any(isinstance(plain(term), ast.Name) and plain(term).id in streams  # type: ignore[attr-defined]
               for term in terms(node))  # fmt: skip


def plain(term: ast.expr) -> ast.expr:
    """Return a term without a factor on it."""
    while isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult):
        term = term.left if isinstance(term.left, ast.Name) else term.right
    return term


def terms(node: ast.expr) -> list[ast.expr]:
    """Return the terms of a sum."""
    found: list[ast.expr] = []
    pending = [node]
    while pending:
        term = pending.pop()
        if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Add | ast.Sub):
            pending += [term.right, term.left]
        else:
            found.append(term)
    return found


def inline(node: ast.expr, local: dict[str, ast.expr]) -> ast.expr:
    """Replace locals by what they were set to; returns a copy if there are any."""
    if not local:
        return node
    return Inliner(local).visit(copy.deepcopy(node))  # type: ignore[no-any-return]


class Inliner(ast.NodeTransformer):
    """Puts the definition of a local in its place, once."""

    def __init__(self, local: dict[str, ast.expr]) -> None:
        self.local = local

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace one name."""
        return self.local.get(node.id, node)
