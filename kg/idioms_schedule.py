"""Schedules: the shapes of learning rate, momentum and weight decay, and the numbers in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.anonymous import body_text
from kg.canonical import canonical
from kg.clocked import in_loop
from kg.config_names import Names, assignments, callee
from kg.nodes import under
from kg.optimizers import Optimizers
from kg.overwrites import Overwrite
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_setting, make_value

# Shapes by what their code mentions; a first match wins.
SHAPES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"cos\("), "cosine"),
    (re.compile(r"sin\("), "sine"),
    (re.compile(r"sqrt|\*\*0\.5|\*\*\(1/2\)"), "sqrt"),
    (re.compile(r"exp\(|\d\*\*\(?\?"), "exponential"),
    (re.compile(r"\*\*2|\*\*\(?2\.0"), "quadratic"),
    (re.compile(r"\*\*"), "power"),
    (re.compile(r"sigmoid"), "sigmoid"),
)
DECAY: Final = "regularization.weight_decay.matrix"
SCHEDULER: Final = re.compile(r"lr_scheduler\.(\w+)\(|=(\w+LR|get_\w+_schedule\w*)\(")
RATE_LOCALS: Final = frozenset({"lrm", "lr_mult", "lr_factor", "lr_multiplier", "lr_scale_now"})


def schedule_settings(
    program: Program, names: Names, roles: Roles, optimizers: Optimizers
) -> Iterator[Setting]:
    """Yield the shapes of the schedules and the numbers inside them."""
    loops = {"", *(w.statement.scope for w in optimizers.overwrites if w.key == "lr")}
    yield from rate_shape(program, names, roles, loops)
    yield from decay_shape(program, names, roles, optimizers)
    yield from momentum_settings(program, names, roles)
    yield from adam_momentum(optimizers, roles, program)


def function_shape(
    program: Program, scope: str, knob: str, extra: tuple[Statement, ...] = ()
) -> Setting | None:
    """Build the setting of a schedule from the body of its function."""
    statements = [*program.by_scope.get(scope, []), *extra]
    if not statements:
        return None
    text = "\n".join([body_text(program, scope), *(statement.text for statement in extra)])
    site = Site(f"{scope} > shape", scope, statements[-1].span, Rank.IDIOM)
    setting = make_value(knob, shape_name(text), site, token=text)
    spans = tuple(statement.span for statement in statements)
    last = last_value(statements)
    shown = program.source(last) if isinstance(last, ast.expr | ast.stmt) else ""
    return replace(setting, covers=spans, long=shown)


def shape_name(text: str) -> str:
    """Name the shape of a schedule by what its code mentions."""
    for pattern, name in SHAPES:
        if pattern.search(text):
            return name
    return "linear" if re.search(r"[-+*/]", text.replace("=", "")) else "constant"


def floor_of(program: Program, scope: str) -> ast.expr | None:
    """Return what a cooldown ends at: the FLOOR of `left * 1.0 + (1 - left) * FLOOR`."""
    for statement in program.by_scope.get(scope, []):
        for node in under(statement.node):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                for side in (node.left, node.right):
                    pair = factors(side)
                    if len(pair) == 2 and one_minus(pair) and plain_end(pair) is not None:
                        return plain_end(pair)
    return None


def rate_shape(program: Program, names: Names, roles: Roles, loops: set[str]) -> Iterator[Setting]:
    """Yield `schedule.lr_shape`: from the schedule's function, the loop, or torch's scheduler."""
    inline = tuple(
        statement
        for scope in sorted(loops)
        for statement in program.by_scope.get(scope, [])
        for target, value in assignments(statement.node)
        if isinstance(target, ast.Name)
        and (target.id in RATE_LOCALS or (target.id == "lr" and in_loop(statement)))
        and not isinstance(value, ast.Call | ast.Constant)
        and not is_scaled_call(value)
    )
    found = False
    for scope in roles.scopes(Role.LR_SCHEDULE):
        setting = function_shape(program, scope, "schedule.lr_shape", inline)
        if setting is not None:
            found = True
            floor = floor_of(program, scope)
            if floor is not None:
                place = program.span(floor)
                site = Site(f"{scope} > floor", scope, place, Rank.LOCAL)
                yield make_setting(program, names, "schedule.final_lr_frac", floor, site)
                token = setting.token.replace(f"*{canonical(floor)})", "*?)")
                setting = replace(setting, token=token)
            yield setting
    if inline and not found:
        text = "\n".join(statement.text for statement in inline)
        site = Site("loop > lr", "", inline[0].span, Rank.IDIOM)
        yield make_value("schedule.lr_shape", shape_name(text), site, token=text)
    for statement in program.statements:
        if "LR(" not in statement.text and "_schedule" not in statement.text:
            continue
        match = SCHEDULER.search(statement.text)
        if match:
            name = match.group(1) or match.group(2)
            site = Site("lr_scheduler", statement.scope, statement.span, Rank.IDIOM)
            yield make_value("schedule.lr_shape", name, site)


def is_scaled_call(value: ast.expr) -> bool:
    """Tell whether a rate is the schedule's result with only a number on it."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult):
        return False
    calls = (side for side in (value.left, value.right) if isinstance(side, ast.Call))
    return any(callee(call) not in ("min", "max") for call in calls)


def decay_shape(
    program: Program, names: Names, roles: Roles, optimizers: Optimizers
) -> Iterator[Setting]:
    """Yield `schedule.weight_decay`: constant unless the loop writes it each step."""
    if not optimizers.overwrites:
        return
    if not any("weight_decay" in group.entries for group in optimizers.groups):
        return
    writes = [write for write in optimizers.overwrites if write.key == "weight_decay"]
    for scope in roles.scopes(Role.DECAY_SCHEDULE):
        setting = function_shape(program, scope, "schedule.weight_decay")
        if setting is not None and any(calls(names, write, scope) for write in writes):
            last = last_value(program.by_scope[scope])
            if isinstance(last, ast.Constant):  # `return 0.1` stands in for the constant
                knob, site = DECAY, Site(f"{scope} > value", scope, setting.span, Rank.IDIOM)
                yield make_setting(program, names, knob, last, site)
            kinds = sorted(kind for write in writes for kind in write.kinds or ("all",))
            spans = (*setting.covers, *(write.statement.span for write in writes))
            yield replace(setting, token=f"{setting.token} {kinds}", covers=spans)
            return
    first = optimizers.groups[0].statement
    span = writes[0].statement.span if writes else first.span
    site = Site("loop > weight decay", "", span, Rank.IDIOM)
    if not writes:
        yield make_value("schedule.weight_decay", "constant", site, token="constant")
        return
    text = "\n".join(expanded_text(names, write.value, "") for write in writes)
    setting = make_value("schedule.weight_decay", shape_name(text), site, token=text)
    values = [write.value for write in writes if isinstance(write.value, ast.Name)]
    made = [bound[0] for v in values if (bound := names.definition(v, "")) is not None]
    yield replace(
        setting,
        covers=(*(write.statement.span for write in writes), *map(program.span, made)),
        long=program.source(made[0] if made else writes[0].value),
    )


def calls(names: Names, write: Overwrite, function: str) -> bool:
    """Tell whether what the loop writes comes from a function."""
    return function in names.roots(write.value, write.statement.scope)


def expanded_text(names: Names, value: ast.expr, scope: str) -> str:
    """Return the text of a value with a local replaced by its definition."""
    bound = names.definition(value, scope) if isinstance(value, ast.Name) else None
    return canonical(bound[0] if bound else value)


def momentum_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield start, end and length of the momentum warmup.

    Reads `(1 - f) * START + f * END`, `START + f * (END - START)` and `step / LENGTH`.
    """
    for scope in roles.scopes(Role.MOMENTUM_SCHEDULE):
        statements = program.by_scope.get(scope, [])
        if not statements:
            continue
        ends: dict[str, ast.expr] = {}
        for statement in statements:
            for node in under(statement.node):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                    ends.update(ramp(node))
                elif is_step_share(node) and isinstance(node, ast.BinOp):
                    ends.setdefault("schedule.muon_momentum_warmup_steps", node.right)
        spans = tuple(statement.span for statement in statements)
        text = body_text(program, scope)
        for knob, node in ends.items():
            path = f"{scope} > {knob.rpartition('.')[2]}"
            site = Site(path, scope, program.span(node), Rank.IDIOM)
            yield make_setting(program, names, knob, node, site)
            text = re.sub(rf"(?<![\w.]){re.escape(canonical(node))}(?![\w.])", "?", text)
        site = Site(f"{scope} > shape", scope, spans[-1], Rank.IDIOM)
        yield replace(
            make_value("schedule.muon_momentum", shape_name(text), site, token=text),
            covers=spans,
            long=program.source(statements[-1].node),
        )
        last = last_value(statements)
        if not ends and isinstance(last, ast.Constant | ast.Name):
            yield make_setting(program, names, "optimizer.muon_momentum", last, site)


def is_step_share(node: ast.AST) -> bool:
    """Tell whether a node is `step / LENGTH`."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and "step" in canonical(node.left)
    )


def last_value(statements: list[Statement]) -> ast.AST:
    """Return what a function returns last."""
    node = statements[-1].node
    return node.value if isinstance(node, ast.Return) and node.value is not None else node


def ramp(node: ast.BinOp) -> dict[str, ast.expr]:
    """Return the two ends of a linear ramp, empty if a sum is none."""
    start, end = "schedule.muon_momentum_start", "optimizer.muon_momentum"
    sides = [factors(node.left), factors(node.right)]
    if all(len(side) == 2 for side in sides):
        rising = [one_minus(side) for side in sides]
        if rising == [True, False] or rising == [False, True]:
            down, up = (sides[0], sides[1]) if rising[0] else (sides[1], sides[0])
            low, high = plain_end(down), plain_end(up)
            return {start: low, end: high} if low is not None and high is not None else {}
    for base, product in ((node.left, sides[1]), (node.right, sides[0])):
        for factor in product if len(product) == 2 else []:
            rise = isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Sub)
            if rise and canonical(factor.right) == canonical(base):  # type: ignore[attr-defined]
                return {start: base, end: factor.left}  # type: ignore[attr-defined]
    return {}


def factors(node: ast.expr) -> list[ast.expr]:
    """Return the two factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [node.left, node.right]
    return []


def one_minus(pair: list[ast.expr]) -> bool:
    """Tell whether one factor is `1 - f`."""
    return any(re.match(r"\(1(\.0)?-", canonical(factor)) for factor in pair)


def plain_end(pair: list[ast.expr]) -> ast.expr | None:
    """Return the factor of a pair that is a number or a constant's name."""
    for factor in pair:
        if isinstance(factor, ast.Constant):
            return factor
        if isinstance(factor, ast.Name) and factor.id.isupper():
            return factor
    return None


def adam_momentum(optimizers: Optimizers, roles: Roles, program: Program) -> Iterator[Setting]:
    """Yield `schedule.adam_momentum`: constant unless the loop writes the betas."""
    if "adamw" not in optimizers.kinds or not optimizers.overwrites:
        return
    writes = [write for write in optimizers.overwrites if write.key in ("betas", "beta1")]
    span = writes[0].statement.span if writes else optimizers.groups[0].statement.span
    site = Site("loop > betas", "", span, Rank.IDIOM)
    made = [
        s for scope in roles.scopes(Role.ADAM_SCHEDULE) for s in program.by_scope.get(scope, [])
    ]
    text = "\n".join([*(canonical(write.value) for write in writes), *(s.text for s in made)])
    value = program.source(writes[0].value) if writes else "constant"
    spans = tuple(statement.span for statement in (*(w.statement for w in writes), *made))
    setting = make_value("schedule.adam_momentum", value, site, token=text or "constant")
    yield replace(setting, covers=spans)
