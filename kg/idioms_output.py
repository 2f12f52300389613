"""What scales the output of attention: a learned gain of each head, or a gate made of the input."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from kg.config_names import Names, assignments, callee
from kg.idioms_attention import BACKENDS
from kg.idioms_residual import definitions, is_format, learned_from
from kg.nodes import under
from kg.program import Program, Span, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value


def output_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield `attention.head_scale`: what attention returns, times a learned gain or a gate."""
    for scope in roles.scopes(Role.ATTENTION):
        if scope in program.functions and not scope.endswith("__init__"):
            yield from scale_of_output(program, names, scope)


def scale_of_output(program: Program, names: Names, scope: str) -> Iterator[Setting]:
    """Yield the factors on attention's output in one function."""
    outputs: set[str] = set()
    gates: dict[str, tuple[Span, ...]] = {}  # locals made by a sigmoid, with what makes them
    for statement in program.by_scope.get(scope, []):
        for target, value in assignments(statement.node):
            if not isinstance(target, ast.Name):
                continue
            if any(callee(call) in BACKENDS or attends(call) for call in statement.calls):
                outputs.add(target.id)
            made = gate_made(program, statement, value, gates)
            if made:
                gates[target.id] = made
            for factor in factors_of(value, outputs):
                gated = [gates[name] for name in plain_names(factor) if name in gates]
                if gated or learned_from(names, factor) is not None:
                    site = Site(f"{scope} > output scale", scope, statement.span, Rank.IDIOM)
                    setting = make_value("attention.head_scale", "True", site)
                    covers = gated[0] if gated else definitions(program, factor)
                    yield replace(setting, covers=covers)


def gate_made(
    program: Program, statement: Statement, value: ast.expr, gates: dict[str, tuple[Span, ...]]
) -> tuple[Span, ...]:
    """Return the lines that make a gate, if a value is one: a sigmoid, or another form of one."""
    if any(callee(call) == "sigmoid" for call in statement.calls):
        return (statement.span, *definitions(program, value))
    named = plain_names(value)
    if not named or not named <= gates.keys():
        return ()
    return (*(span for name in sorted(named) for span in gates[name]), statement.span)


def plain_names(node: ast.AST) -> set[str]:
    """Return the names of an expression, without those asked only for their format."""
    formats = {id(n.value) for n in under(node) if is_format(n)}
    return {n.id for n in under(node) if isinstance(n, ast.Name) and id(n) not in formats}


def factors_of(value: ast.expr, outputs: set[str]) -> Iterator[ast.expr]:
    """Yield what attention's output is multiplied by."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        for factor, other in ((value.right, value.left), (value.left, value.right)):
            if isinstance(other, ast.Name) and other.id in outputs:
                yield factor


def attends(call: ast.Call) -> bool:
    """Tell whether a call is given queries, keys and values: an attention of the file's own."""
    given = [n.id[:1] for n in call.args if isinstance(n, ast.Name)]
    return {"q", "k", "v"} <= set(given)
