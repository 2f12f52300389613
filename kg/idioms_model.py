"""The model around attention: which layers have what, how often they run, soft capping."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from kg.branching import excludes
from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.idioms_tables import value_embed_settings
from kg.nodes import under
from kg.program import Program, Statement, is_forward
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, make_setting, make_value
from kg.stream import branches_in


def model_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the settings that are read from how the model is put together."""
    yield from value_embed_settings(program, names, roles)
    yield from layer_settings(program, names, roles)
    yield from softcap_settings(program, names, roles)


def layer_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield which layers have attention or an MLP, and how often the layers run."""
    for scope in roles.scopes(Role.BLOCK):
        for statement in program.by_scope.get(scope, []):
            for target, value in assignments(statement.node):
                if isinstance(target, ast.Attribute) and target.attr in ("attn", "mlp"):
                    yield from every_n(program, names, statement, target.attr, value)
            if is_forward(scope):
                for part in sorted(branches_in(statement.node)):
                    if in_either(statement, part, program.by_scope[scope]):
                        continue
                    yield from every_n(program, names, statement, part, None)
    for scope in roles.scopes(Role.MODEL):
        for statement in program.by_scope.get(scope, []):
            yield from layers_without(program, statement, program.by_scope[scope])
            loops = [parent for parent in statement.parents if isinstance(parent, ast.For)]
            runs = re.search(r"\b(block|layer)\w*\(|\.h\[", statement.text) is not None
            extra = repeated_loop(loops, names, scope) if runs else None
            if extra is None and loops and AROUND.search(statement.text):
                extra = loops[-1]
            if extra is None and runs and loops and runs_again(statement, program.by_scope[scope]):
                site = Site(f"{scope} > again", scope, statement.span, Rank.IDIOM)
                heads = [program.span(p) for p in statement.parents if isinstance(p, ast.If)]
                yield replace(make_value("model.layer_loops", "2", site), covers=tuple(heads))
            if extra is not None:
                site = Site(f"{scope} > loops", scope, statement.span, Rank.IDIOM)
                count = extra.iter.args[-1] if isinstance(extra.iter, ast.Call) else extra.iter
                number, _ = coefficient(count)
                setting = make_setting(program, names, "model.layer_loops", number or count, site)
                head = program.span(extra)[0], program.span(extra.iter)[1]
                yield replace(setting, covers=(head,))


def layers_without(
    program: Program, statement: Statement, body: list[Statement]
) -> Iterator[Setting]:
    """Yield the layers of which the model's loop calls one branch: `x = x + block.mlp(norm(x))`."""
    parts = branches_in(statement.node) if not hasattr(statement.node, "body") else set()
    tests = [p for p in statement.parents if isinstance(p, ast.If)]
    called = PART.search(statement.text)
    if len(parts) != 1 or not tests or called is None:
        return
    whole = [s for s in body if RUN.search(s.text) and not hasattr(s.node, "body")]
    if any(excludes(statement, other) or excludes(other, statement) for other in whole):
        knob = "attention.every_n_layers" if parts == {"mlp"} else "mlp.every_n_layers"
        site = Site(f"{statement.scope} > layers", statement.scope, statement.span, Rank.IDIOM)
        head = (program.span(tests[-1])[0], program.span(tests[-1].test)[1])
        setting = make_value(knob, f"not {program.source(tests[-1].test)}", site)
        yield replace(setting, covers=(head, *(s.span for s in whole)))


PART = re.compile(r"\b(?:block|layer)\w*\.(?:attn|mlp)\(")


def runs_again(statement: Statement, body: list[Statement]) -> bool:
    """Tell whether the block of a layer loop has run before in the same pass through the loop."""
    loop = next((p for p in reversed(statement.parents) if isinstance(p, ast.For)), None)
    called = RUN.search(statement.text)
    if loop is None or called is None or called.group(1) not in named_in(loop.target):
        return False
    return any(
        other.span < statement.span
        and loop in other.parents
        and not hasattr(other.node, "body")
        and (run := RUN.search(other.text)) is not None
        and run.group(1) == called.group(1)
        and not excludes(other, statement)
        for other in body
    )


RUN = re.compile(r"=\(?(?:\w+\.)*(?:checkpoint\()?(\w*(?:block|layer)\w*)[(,]")


def named_in(target: ast.expr) -> set[str]:
    """Return the names a loop sets."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def in_either(statement: Statement, part: str, body: list[Statement]) -> bool:
    """Tell whether a part of the block is called in either case of a test over a statement."""
    calls = [s for s in body if not hasattr(s.node, "body") and part in branches_in(s.node)]
    return any(excludes(statement, other) or excludes(other, statement) for other in calls)


def repeated_loop(loops: list[ast.For], names: Names, scope: str) -> ast.For | None:
    """Return the loop that makes the layers run more often than there are layers."""
    for loop in loops:
        text = canonical(loop.iter)
        if "range(" in text and (len(loops) > 1 or "*" in text):
            return loop
        if re.search(r"\*\d+\)|\(\d+\*", text):  # `list(self.h) * 2`
            return loop
        if JOINED.search(text):
            return loop
        bound = names.locals.get((scope, getattr(loop.iter, "id", "")), ())
        if any(REPEATED.search(s.text) or has_twice(s.node) for s in bound):
            return loop
    return None


JOINED = re.compile(r"(?:\.h|blocks|layers)\b.*\+.*(?:\.h|blocks|layers)\b")  # `h + h[-2:]`
AROUND = re.compile(r"(?:\.h|blocks|layers)\[\(?[^\[\]]*%")  # `self.h[i % len(self.h)]`
REPEATED = re.compile(
    r"\(\d\*\w+\[|\]\)?\*\d|\(\w+\[[^=]*\]\+\w+\[|range\(.*\)\+.*range\("
)  # `2 * order[1:3]`


def has_twice(node: ast.stmt) -> bool:
    """Tell whether a list of layer numbers has one of them twice: `[0, 1, 2, 1, 2, 3]`."""
    value = getattr(node, "value", None)
    if not isinstance(value, ast.List | ast.Tuple):
        return False
    numbers = [canonical(e) for e in value.elts if isinstance(e, ast.Constant)]
    return len(numbers) > len(set(numbers))


def every_n(
    program: Program, names: Names, statement: Statement, part: str, value: ast.expr | None
) -> Iterator[Setting]:
    """Yield the condition under which a layer has its attention or MLP."""
    test = value.test if isinstance(value, ast.IfExp) else None
    for parent in statement.parents:
        test = parent.test if isinstance(parent, ast.If) else test
    sign = ""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, sign = test.operand, "not "
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot):
        return  # `if self.attn is not None` follows from how it was made
    if isinstance(test, ast.Attribute | ast.Name):
        bound = names.attributes.get(getattr(test, "attr", ""), [])
        local = names.definition(test, statement.scope)
        test = bound[0][0] if len(bound) == 1 else local[0] if local is not None else test
    if test is None or "layer" not in canonical(test):
        return
    knob = "attention.every_n_layers" if part == "attn" else "mlp.every_n_layers"
    site = Site(f"{statement.scope} > {part}", statement.scope, statement.span, Rank.IDIOM)
    setting = make_value(knob, sign + program.source(test), site, token=sign + canonical(test))
    heads = [parent for parent in statement.parents if isinstance(parent, ast.If)]
    lines = [(program.span(head)[0], program.span(head.test)[1]) for head in heads]
    yield replace(setting, covers=(program.span(test), *lines))


def softcap_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the cap of `cap * tanh(x / cap)`: on the logits, or on attention scores."""
    for statement in program.mentioning({"tanh"}):
        role = roles.of(statement.scope)
        if role not in (Role.MODEL, Role.ATTENTION):
            continue
        if role is Role.MODEL and any(isinstance(p, ast.For) for p in statement.parents):
            continue  # of what goes from layer to layer, not of the logits
        for node in under(statement.node):
            cap = cap_of(node)
            if cap is not None:
                knob = "head.softcap" if role is Role.MODEL else "attention.softcap"
                site = Site(
                    f"{statement.scope} > tanh", statement.scope, statement.span, Rank.IDIOM
                )
                bound = names.definition(cap, statement.scope)
                made = bound[0] if bound is not None else cap
                setting = replace(make_setting(program, names, knob, made, site), probe=())
                spans = (program.span(made),) if bound and program.source(made) else ()
                yield replace(setting, token=canonical(made), covers=spans)


def cap_of(node: ast.AST) -> ast.expr | None:
    """Return the cap of a soft capping, None if a node is none."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return None
    for cap, call in ((node.left, node.right), (node.right, node.left)):
        if isinstance(call, ast.Call) and callee(call) == "tanh" and call.args:
            inner = call.args[0]
            if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
                return cap
    return None
