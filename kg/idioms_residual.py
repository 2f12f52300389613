"""How branches join the residual stream, and what scales queries, keys and attention outputs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeGuard

from kg.branching import excludes
from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.idioms_activation import RANDOM
from kg.idioms_attention import BACKENDS
from kg.nodes import under
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, is_plain_number, make_setting, make_value
from kg.stream import Update, branches_in, stream_updates, terms

QUERY_KEY: Final = re.compile(r"^(q|k|query|key|queries|keys|q\d|k\d|qh|kh)$")


def residual_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the settings of a block's joins and of attention's scales."""
    for scope in roles.scopes(Role.BLOCK):
        if scope not in program.functions or scope.endswith("__init__"):
            continue
        before: list[tuple[Statement, set[str]]] = []  # the joins so far
        order: list[str] = []
        for update in stream_updates(program.by_scope.get(scope, [])):
            parts = branches_in(update.whole)
            if not is_join(update):
                continue
            consumed: set[str] = set()
            for earlier, joined in before:
                consumed |= set() if excludes(earlier, update.statement) else joined
            yield from joint_settings(update, consumed, scope)
            yield from scale_settings(program, names, update, consumed)
            order += sorted(parts - consumed)
            consumed |= parts
            before.append((update.statement, parts))
            if len(order) == len(consumed) == 2 and len(parts) == 1:
                site = Site(f"{scope} > order", scope, update.statement.span, Rank.IDIOM)
                words = " then ".join(order)
                yield replace(make_value("residual.structure", words, site), hidden=True)
    for scope in roles.scopes(Role.ATTENTION):
        if scope in program.functions and not scope.endswith("__init__"):
            yield from temperature_settings(program, names, scope)
            yield from mixing_settings(program, scope)
            yield from input_skip(program, scope)
            yield from differential_settings(program, scope)


def is_join(update: Update) -> bool:
    """Tell whether an update adds a branch to something, rather than only computing it."""
    return len(terms(update.whole)) > 1


def joint_settings(update: Update, consumed: set[str], scope: str) -> Iterator[Setting]:
    """Yield a parallel block, or attention's output added a second time."""
    alone = [branches_in(term) for term in terms(update.whole)]
    site = Site(f"{scope} > join", scope, update.statement.span, Rank.IDIOM)
    spans = tuple(statement.span for statement in update.used)
    if {"attn"} in alone and {"mlp"} in alone and not consumed:
        yield replace(make_value("residual.parallel_block", "True", site), covers=spans)
    elif {"attn"} in alone and "attn" in consumed:
        yield replace(make_value("residual.attn_skip", "True", site), covers=spans)


def scale_settings(
    program: Program, names: Names, update: Update, consumed: set[str]
) -> Iterator[Setting]:
    """Yield the factor on a branch: a learned one from zero (ReZero), another, or a number."""
    scope = update.statement.scope
    for term in terms(update.whole):
        parts = branches_in(term)
        if len(parts) != 1 or not isinstance(term, ast.BinOp) or parts & consumed:
            continue
        part = parts.pop()
        for factor in (term.left, term.right):
            if branches_in(factor):
                continue
            site = Site(f"{scope} > {part} scale", scope, update.statement.span, Rank.IDIOM)
            kind = learned_from(names, factor)
            if kind is not None:
                knob = "residual.rezero" if kind == "0" else "residual.layer_scale"
                setting = make_value(knob, kind, site)
                yield replace(setting, covers=definitions(program, factor))
            elif not is_local(factor):
                yield make_setting(program, names, "residual.branch_scale", factor, site)


def is_local(factor: ast.expr) -> bool:
    """Tell whether a factor is a local, or an item of one: a mask, what a caller hands on."""
    if any(isinstance(n, ast.Call) and callee(n) in RANDOM for n in under(factor)):
        return True
    root = factor.value if isinstance(factor, ast.Subscript) else factor
    return isinstance(root, ast.Name) and not root.id.isupper()


def learned_from(names: Names, node: ast.expr) -> str | None:
    """Return the start of a learned factor (`0`, `1`, another), None if it is not learned."""
    for inner in under(node):
        if not isinstance(inner, ast.Attribute):
            continue
        for value, _ in names.attributes.get(inner.attr, []):
            if isinstance(value, ast.Call) and callee(value) == "Parameter" and value.args:
                text = canonical(value.args[0])
                if re.search(r"zeros|tensor\(\(?0(\.0)?\)?\b", text):
                    return "0"
                number = coefficient(value.args[0])[0]
                if number is not None:
                    return ast.unparse(number)
                numbers = re.findall(r"\d[\d.]*(?:e-?\d+)?", text)
                return "1" if "ones" in text else (numbers[-1] if numbers else "?")
    return None


def definitions(program: Program, node: ast.expr) -> tuple[tuple[int, int], ...]:
    """Return the spans of the statements that set the attributes of an expression."""
    wanted = {inner.attr for inner in under(node) if isinstance(inner, ast.Attribute)}
    return tuple(
        statement.span
        for statement in program.statements
        for target, _ in assignments(statement.node)
        if isinstance(target, ast.Attribute) and target.attr in wanted
    )


def temperature_settings(program: Program, names: Names, scope: str) -> Iterator[Setting]:
    """Yield `attention.temperature`: a factor on queries or keys after their projection."""
    for statement in program.by_scope.get(scope, []):
        node = statement.node
        pairs = list(assignments(node))
        for call in statement.calls:
            given = call.args[:2] if callee(call) in BACKENDS else ()
            pairs += zip((ast.Name(id="q"), ast.Name(id="k")), given, strict=False)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Mult | ast.Div):
            pairs = [(node.target, ast.BinOp(left=node.target, op=node.op, right=node.value))]
        for target, value in pairs:
            if not isinstance(target, ast.Name) or not QUERY_KEY.match(target.id):
                continue
            factor = scale_factor(value)
            if factor is None:
                continue
            site = Site(f"{scope} > {target.id} scale", scope, statement.span, Rank.IDIOM)
            setting = make_setting(program, names, "attention.temperature", factor, site)
            if learned_from(names, factor) is not None:
                setting = replace(setting, probe=())  # where it starts is not where it goes
            yield replace(setting, covers=definitions(program, factor))


def scale_factor(value: ast.expr) -> ast.expr | None:
    """Return the factor on a query or key: a number, a learned gain, or arithmetic on sizes."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Mult | ast.Div):
        return None
    for factor, other in ((value.right, value.left), (value.left, value.right)):
        formats = {id(n.value) for n in under(factor) if is_format(n)}
        mentions = {n.id for n in under(factor) if isinstance(n, ast.Name) and id(n) not in formats}
        inner = other.left if isinstance(other, ast.BinOp) and scale_factor(other) else other
        carries = isinstance(inner, ast.Name) and bool(QUERY_KEY.match(inner.id))
        carries = carries or isinstance(inner, ast.Call)
        plain = is_plain_number(factor) or not (mentions & {"cos", "sin", "mask"})
        if carries and plain and not any(QUERY_KEY.match(name) for name in mentions):
            return factor
    return None


def is_format(node: ast.AST) -> TypeGuard[ast.Attribute]:
    """Tell whether a node only asks for a tensor's number format or device: `q.dtype`."""
    return isinstance(node, ast.Attribute) and node.attr in ("dtype", "device")


def mixing_settings(program: Program, scope: str) -> Iterator[Setting]:
    """Yield `attention.qk_mixing`: queries with a share of the keys in them, or the reverse."""
    for statement in program.by_scope.get(scope, []):
        for target, value in assignments(statement.node):
            if not isinstance(target, ast.Name) or not isinstance(value, ast.BinOp):
                continue
            other = {"q": "k", "k": "q"}.get(target.id, "")
            sums = [side_names(term) for term in terms(value)]
            if other and len(sums) > 1 and {target.id} in sums and {other} in sums:
                site = Site(f"{scope} > {target.id} mixing", scope, statement.span, Rank.IDIOM)
                token = canonical(value)
                yield make_value("attention.qk_mixing", program.source(value), site, token=token)


def side_names(term: ast.expr) -> set[str]:
    """Return which of queries and keys a term is of: `0.5 * k_raw` is of the keys."""
    found = (QUERY_OR_KEY.match(n.id) for n in under(term) if isinstance(n, ast.Name))
    return {match.group(1) for match in found if match}


QUERY_OR_KEY: Final = re.compile(r"^([qk])(?:_\w{1,12}|\d)?$")


def input_skip(program: Program, scope: str) -> Iterator[Setting]:
    """Yield `residual.attn_skip`: attention that adds what goes into it to what comes out."""
    taken = program.functions[scope].args.args[1:2]
    for statement in program.by_scope.get(scope, []) if taken else ():
        node = statement.node
        value = node.value if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) else None
        parts = terms(value) if value is not None else []
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            parts = [node.target, *parts]
        for part in parts if len(parts) > 1 else ():
            number, rest = coefficient(part)
            others = [n.id for p in parts if p is not part for n in under(p) if is_y(n)]
            if rest == (taken[0].arg,) and others:
                site = Site(f"{scope} > input added", scope, statement.span, Rank.IDIOM)
                shown = (program.source(number) or "1") if number is not None else "1"
                yield make_value("residual.attn_skip", shown, site)


def is_y(node: ast.AST) -> TypeGuard[ast.Name]:
    """Tell whether a node is attention's output, by the names it goes by, or is projected."""
    return isinstance(node, ast.Name) and node.id in ("y", "out", "output", "attn_out", "o")


def differential_settings(program: Program, scope: str) -> Iterator[Setting]:
    """Yield `attention.differential`: one attention map subtracted from another."""
    maps: set[str] = set()
    for statement in program.by_scope.get(scope, []):
        for target, value in assignments(statement.node):
            if any(map(attends, under(value))) and isinstance(target, ast.Name):
                maps.add(target.id)
            taken = [
                (maps_in(node.left, maps), maps_in(node.right, maps))
                for node in (under(value) if maps else ())
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
            ]
            # `y - (y * v).sum() * v` takes from one map a part of itself
            if any(one and other and one != other for one, other in taken):
                site = Site(f"{scope} > difference", scope, statement.span, Rank.IDIOM)
                yield make_value("attention.differential", "True", site)


def attends(node: ast.AST) -> bool:
    """Tell whether a node computes an attention map, or what it gives."""
    return isinstance(node, ast.Call) and (callee(node) in BACKENDS or callee(node) == "softmax")


def maps_in(side: ast.expr, maps: set[str]) -> set[str]:
    """Return the attention outputs in one side of a difference, those computed there too."""
    walked = under(side)
    found = {n.id for n in walked if isinstance(n, ast.Name)} & maps
    return found | {canonical(n) for n in walked if attends(n)}
