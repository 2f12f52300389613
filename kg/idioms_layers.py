"""Layers of several kinds, and what one layer hands to the next besides the stream."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import assignments, callee
from kg.program import Program, Statement, is_forward
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value
from kg.stream import ATTENTION_NAME, MLP_NAME, branch_part

COUNTER: Final = re.compile(r"\b(?:i|l|idx|layer\w*|block_idx|depth_idx)\b")


def layer_kind_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield which layers lack attention or an MLP, and what blocks return besides the stream."""
    parts = {name: branches_of(program, name) for name in program.classes}
    mixed = {name for name, held in parts.items() if held}
    for scope in roles.scopes(Role.MODEL):
        for statement in program.by_scope.get(scope, []) if mixed else ():
            if not (isinstance(statement.node, ast.If) or mixed & statement.names):
                continue  # makes no layer
            for test, body, other in choices(statement):
                if COUNTER.search(canonical(test)):
                    yield from lacking(
                        program, statement, test, (body & mixed, other & mixed), parts
                    )
    for scope in roles.scopes(Role.BLOCK):
        if is_forward(scope):
            yield from carried(program.by_scope.get(scope, []), scope)


def branches_of(program: Program, name: str) -> frozenset[str]:
    """Return which branches a class keeps as its own modules, `attn` and `mlp`."""
    made = program.by_scope.get(f"{name}.__init__", [])
    held = [
        target.attr
        for s in made
        for target, value in assignments(s.node)
        if isinstance(target, ast.Attribute) and isinstance(value, ast.Call)
    ]
    found = {"attn" for attribute in held if ATTENTION_NAME.search(attribute)}
    return frozenset(found | {"mlp" for attribute in held if MLP_NAME.match(attribute)})


def choices(statement: Statement) -> Iterator[tuple[ast.expr, set[str], set[str]]]:
    """Yield the tests that choose between two classes, with the classes made in either case."""
    if isinstance(statement.node, ast.If):
        node = statement.node
        yield node.test, made_in(node.body), made_in(node.orelse)
        return
    for inner in ast.walk(statement.node):
        if isinstance(inner, ast.IfExp):
            yield inner.test, made_in([inner.body]), made_in([inner.orelse])


def made_in(nodes: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """Return the names of the classes that some code makes objects of."""
    calls = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call))
    return {name for call in calls if (name := callee(call))[:1].isupper()}


def lacking(
    program: Program,
    statement: Statement,
    test: ast.expr,
    made: tuple[set[str], set[str]],
    parts: dict[str, frozenset[str]],
) -> Iterator[Setting]:
    """Yield the branch that the layers of one of two kinds do without."""
    held = [frozenset[str]().union(*(parts[name] for name in names)) for names in made]
    if not all(held):
        return
    for part in sorted(held[0] ^ held[1]):
        knob = "attention.every_n_layers" if part == "attn" else "mlp.every_n_layers"
        sign = "" if part in held[0] else "not "
        shown = program.source(test)
        site = Site(f"{statement.scope} > {part}", statement.scope, statement.span, Rank.IDIOM)
        setting = make_value(knob, sign + shown, site, token=sign + canonical(test))
        yield replace(setting, covers=(program.span(test),))


def carried(statements: list[Statement], scope: str) -> Iterator[Setting]:
    """Yield `residual.attn_skip`: a block that returns its attention's output for the next one."""
    outputs: dict[str, Statement] = {}
    for statement in statements:
        for target, value in assignments(statement.node):
            if isinstance(target, ast.Name) and branch_part(value) == "attn":
                outputs[target.id] = statement
        node = statement.node
        if not isinstance(node, ast.Return) or not isinstance(node.value, ast.Tuple):
            continue
        given = [e.id for e in node.value.elts[1:] if isinstance(e, ast.Name) and e.id in outputs]
        if given:
            site = Site(f"{scope} > carried", scope, statement.span, Rank.IDIOM)
            setting = make_value("residual.attn_skip", "True", site)
            yield replace(setting, covers=(outputs[given[0]].span,))
