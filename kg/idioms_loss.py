"""Terms that a training script adds to its loss, and what each weighs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, assignments
from kg.late import late
from kg.nodes import under
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, is_plain_number, make_setting, make_value
from kg.stream import terms

LOSS: Final = late(r"^(?:\w+_)?loss$")
# Terms that have a knob of their own, and parts of the loss that are not added to it.
OWN_KNOB: Final = late(r"z_?loss|logsumexp|log_z|smooth|focal|\.item\(|detach", re.I)


def loss_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield `loss.auxiliary` for each term added to the loss, with its weight."""
    for scope in roles.scopes(Role.MODEL, Role.SCRIPT):
        statements = program.by_scope.get(scope, [])
        for statement in statements:
            for term in added_terms(statement):
                yield from term_settings(program, names, statement, term, statements)


def added_terms(statement: Statement) -> Iterator[ast.expr]:
    """Yield what a statement adds to the loss: `loss = loss + t`, `return loss + t`."""
    node = statement.node
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        if isinstance(node.target, ast.Name) and node.target.id == "loss":
            yield from terms(node.value)
        return
    value = node.value if isinstance(node, ast.Assign | ast.Return) else None
    if isinstance(node, ast.Assign) and not (
        isinstance(node.targets[0], ast.Name) and LOSS.match(node.targets[0].id)
    ):
        return
    parts = terms(value) if value is not None else []
    if any(isinstance(part, ast.Name) and part.id == "loss" for part in parts):
        yield from (p for p in parts if not (isinstance(p, ast.Name) and p.id == "loss"))


def term_settings(
    program: Program, names: Names, statement: Statement, term: ast.expr, body: list[Statement]
) -> Iterator[Setting]:
    """Yield the weight of one term; that of `loss + aux` stands where `aux` is made."""
    if is_plain_number(term):
        return
    mentioned = {n.id for n in under(term) if isinstance(n, ast.Name)} - {"loss"}
    made = [
        (canonical(target), value, other)
        for other in body
        for target, value in assignments(other.node)
        if canonical(target) in mentioned and not is_plain_number(value)
    ]
    if OWN_KNOB.search(canonical(term)) or any(OWN_TERM.search(canonical(v)) for _, v, _ in made):
        return
    own = [value for name, value, _ in made if name == canonical(term)]
    weight = next((w for value in (term, *own) if (w := weight_of(value)) is not None), None)
    path = f"{statement.scope} > added term".removeprefix(" > ")
    site = Site(path, statement.scope, statement.span, Rank.IDIOM)
    knob = "loss.auxiliary"
    if weight is None:
        if "cross_entropy" not in canonical(term):  # of one chunk of many: the loss itself
            yield make_value(knob, "1", site)
        return
    setting = make_setting(program, names, knob, weight, site)
    constant = names.definition(weight, statement.scope) if isinstance(weight, ast.Name) else None
    spans = [other.span for name, _, other in made if name == canonical(term)]
    if constant is not None:
        spans.append(program.span(constant[0]))
    known = setting.number is not None
    yield replace(
        setting, covers=tuple(spans), token=f"{setting.number}" if known else setting.token
    )


OWN_TERM: Final = late(r"logsumexp|log_z|\bexp\(.*\.sum\(|\.exp\(\)\.sum\(", re.I)


def weight_of(value: ast.expr) -> ast.expr | None:
    """Return the number, or the constant's name, that a term is multiplied by."""
    number, _ = coefficient(value)
    if number is not None:
        return number
    pending, factors = [value], []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            pending += [node.right, node.left]
        else:
            factors.append(node)
    named = [f for f in factors if isinstance(f, ast.Name | ast.Attribute)]
    return (
        next((f for f in named if WEIGHT.search(canonical(f))), None) if len(factors) > 1 else None
    )


WEIGHT: Final = late(r"^(?:[A-Z][A-Z\d_]+|.*(?:weight|coeff?|lambda|alpha|beta|scale))$")
