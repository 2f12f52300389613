"""The training loop: the factor on all rates, what is timed, the width rates were tuned at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from kg.canonical import canonical
from kg.config_names import Names, assignments
from kg.fold import number_of
from kg.idioms_schedule import RATE_LOCALS, is_scaled_call
from kg.optimizers import Optimizers
from kg.overwrites import node_names
from kg.program import Program
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, make_setting, make_value


def run_settings(
    program: Program, names: Names, roles: Roles, optimizers: Optimizers
) -> Iterator[Setting]:
    """Yield the settings that are read from the loop and from the set-up of the optimizer."""
    yield from rate_factor(program, names, optimizers)
    yield from startup_settings(program, names)
    yield from reference_settings(program, names, roles)


def rate_factor(program: Program, names: Names, optimizers: Optimizers) -> Iterator[Setting]:
    """Yield `optimizer.all_lr`: the number on every rate the loop writes, 1 if there is none."""
    for write in optimizers.overwrites:
        if write.key != "lr" or not write.keeps:
            continue
        value = with_rate(names, write.value)
        number, rest = coefficient(value)
        site = Site("loop > group lr", "", write.statement.span, Rank.LOCAL)
        setting = make_value("optimizer.all_lr", program.source(number) if number else "1", site)
        token = f"{number_of(setting.folded)} * {rest}"
        spans = tuple(
            statement.span
            for name in RATE_LOCALS & set(node_names(write.value))
            for statement in names.locals.get(("", name), ())
            if is_scaled_call(getattr(statement.node, "value", write.value))
        )
        yield replace(
            setting,
            token=token,
            literal=False,
            long=program.source(write.value),
            covers=spans,
        )
        bent = [factor for factor in rest if "IfExp" in factor or "**" in factor]
        own = [f for f in rest if not RATE.search(f) and f not in bent]
        own = own if len(own) < len(rest) - 1 else own[1:]  # a schedule's factor by any name
        own += bent
        site = replace(site, path="loop > rate")
        shape = make_value("schedule.lr_shape", " * ".join(own) or "none", site)
        yield replace(shape, token=str(own), exact=True, hidden=True, covers=spans)
        return


# The rate a group starts with and the schedule's factor: all that a plain loop multiplies.
RATE = re.compile(r"initial_lr|base_lr|\blr|_lr|lrm|schedule|mult|\['lr'\]")


def startup_settings(program: Program, names: Names) -> Iterator[Setting]:
    """Yield `evaluation.startup_exclude`: how many first steps are not timed."""
    for statement in program.statements:
        node = statement.node
        if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
            continue
        timed = any(
            isinstance(inner, ast.AugAssign) and "time" in canonical(inner.target)
            for inner in node.body
        )
        if timed and "step" in canonical(node.test.left):
            site = Site("loop > startup", "", statement.span, Rank.LOCAL)
            value_node = node.test.comparators[0]
            setting = make_setting(program, names, "evaluation.startup_exclude", value_node, site)
            text = f"step>{canonical(value_node)}"
            same = [s.span for s in program.statements if text in s.text or "(step-" in s.text]
            yield replace(setting, covers=tuple(same))
            return


def with_rate(names: Names, value: ast.expr) -> ast.expr:
    """Return a written rate with `lrm = 1.2 * get_lr_multiplier(...)` put in its place."""
    if not isinstance(value, ast.BinOp):
        return value
    for side, other in ((value.left, value.right), (value.right, value.left)):
        bound = names.definition(side, "") if isinstance(side, ast.Name) else None
        if bound is not None and (is_scaled_call(bound[0]) or bends(bound[0])):
            return ast.BinOp(left=other, op=value.op, right=bound[0])
    return value


def bends(value: ast.expr) -> bool:
    """Tell whether a local is the schedule's factor for some groups, and another for the rest."""
    return isinstance(value, ast.IfExp) and bool(RATE_LOCALS & set(node_names(value)))


CLOCK = re.compile(r"\b(?:step|progress|it|iteration|epoch|elapsed)\b")


def reference_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield `optimizer.lr_scale_reference`: the 768 of `(model_dim / 768) ** -0.5`."""
    for scope in roles.scopes(Role.SETUP, Role.SCRIPT):
        for statement in program.by_scope.get(scope, []):
            for target, value in assignments(statement.node):
                if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Pow):
                    continue
                ratio = value.left
                if isinstance(ratio, ast.BinOp) and isinstance(ratio.op, ast.Div):
                    if CLOCK.search(canonical(ratio)):
                        continue  # falls with time: `(0.01 / (1 + step)) ** 0.5`
                    path = f"{scope} > {program.source(target)}".removeprefix(" > ")
                    site = Site(path, scope, statement.span, Rank.LOCAL)
                    knob = "optimizer.lr_scale_reference"
                    yield make_setting(program, names, knob, ratio.right, site)
                    place = replace(site, path=f"{path}[exponent]")
                    knob = "optimizer.lr_scale_exponent"
                    yield make_setting(program, names, knob, value.right, place)
