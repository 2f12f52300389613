"""Attention and the model around it: backend, projections, windows, loops, softcap, positions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.fold import number_of
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, make_setting, make_value

BACKENDS: Final = {
    "flash_attn_func": "fa3",
    "flash_attn_varlen_func": "fa3",
    "flash_attn_qkvpacked_func": "fa3",
    "scaled_dot_product_attention": "sdpa",
    "flex_attention": "flex_attention",
    "memory_efficient_attention": "xformers",
}
SDP_SWITCH: Final = re.compile(r"enable_(cudnn|flash|math|mem_efficient)_sdp\((True|1)?\)")
# Casts and devices inside the rotary functions say nothing about the encoding.
CASTS: Final = re.compile(r"\.(bfloat16|float|half|double)\(\)|\.to\([^()]*\)|,?device=[\w.]+")


def attention_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the settings that are read from how attention and the model are wired."""
    yield from backend_settings(program)
    yield from projection_settings(program, roles)
    yield from window_settings(program, roles)
    yield from position_settings(program, roles)
    yield from value_embed_settings(program, names, roles)
    yield from layer_settings(program, roles)
    yield from softcap_settings(program, names, roles)


def backend_settings(program: Program) -> Iterator[Setting]:
    """Yield `attention.backend`: the kernels called, and the SDPA back ends allowed."""
    defined = {name.rpartition(".")[2] for name in program.functions}
    used: dict[str, Statement] = {}
    allowed: dict[str, Statement] = {}
    for statement in program.statements:
        for call in statement.calls:
            name = BACKENDS.get(callee(call))
            if name is not None and callee(call) not in defined:
                used.setdefault(name, statement)
        for match in SDP_SWITCH.finditer(statement.text):
            if match.group(2):
                allowed.setdefault(f"{match.group(1)}_sdp", statement)
        if "sdpa_kernel(" in statement.text:
            for match in re.finditer(r"SDPBackend\.(\w+)", statement.text):
                allowed.setdefault(match.group(1).lower(), statement)
    if not used:
        return
    spans = tuple(statement.span for statement in used.values())
    site = Site("attention > kernel", "", spans[0], Rank.IDIOM)
    setting = make_value("attention.backend", "+".join(sorted(used)), site, token=str(sorted(used)))
    yield replace(setting, parts=frozenset(used), itemised=True, covers=spans)
    text = "+".join(sorted(allowed)) or "default"
    place = next(iter((allowed or used).values()))
    site = Site("sdpa back ends", "", place.span, Rank.DEFAULT)
    switches = (s.span for s in program.statements if "_sdp(" in s.text)
    yield replace(make_value("attention.backend", text, site, token=text), covers=tuple(switches))


def projection_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield `attention.qkv_projection`: separate, fused, or something else."""
    for owner in roles.scopes(Role.ATTENTION):
        if owner not in program.classes:
            continue
        made = [
            (target.attr, value, statement)
            for statement in program.by_scope.get(f"{owner}.__init__", [])
            for target, value in assignments(statement.node)
            if isinstance(target, ast.Attribute)
            and re.match(r"^(c_|w)?(q|k|v|qkv|kv|qk)(_proj|_linear)?$|c_attn|in_proj", target.attr)
            and isinstance(value, ast.Call)
        ]
        if not made:
            continue
        fused = any(re.search(r"qkv|c_attn|in_proj", name) for name, _, _ in made)
        partly = any(re.search(r"kv|qk", name) for name, _, _ in made)
        value = "fused" if fused else "partly fused" if partly else "separate"
        spans = tuple(statement.span for _, _, statement in made)
        site = Site(f"{owner}.__init__ > qkv", owner, spans[0], Rank.IDIOM)
        kinds = sorted(
            f"{name}={callee(call)}" for name, call, _ in made if isinstance(call, ast.Call)
        )
        setting = make_value("attention.qkv_projection", value, site, token=" ".join(kinds))
        yield replace(setting, covers=spans if fused or partly else ())


def window_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield `attention.window_sizes`: windows beyond long and short, and forced layers."""
    for scope in roles.scopes(Role.WINDOWS):
        for statement in program.by_scope.get(scope, []):
            for target, value in assignments(statement.node):
                if isinstance(value, ast.Dict):
                    yield from window_entries(program, statement, value)
                elif isinstance(target, ast.Subscript) and "window" in canonical(target):
                    text = f"{program.source(target)}={program.source(value)}"
                    site = Site(f"{scope} > {canonical(target)}", scope, statement.span, Rank.LOCAL)
                    yield make_value("attention.window_sizes", text, site, token=text)


def window_entries(program: Program, statement: Statement, value: ast.Dict) -> Iterator[Setting]:
    """Yield the windows of a pattern letter other than L and S."""
    for key, entry in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str | int):
            continue
        if key.value in ("L", "S"):
            continue
        size = entry.elts[0] if isinstance(entry, ast.Tuple) and entry.elts else entry
        site = Site(f"{statement.scope} > window {key.value}", statement.scope,
                    statement.span, Rank.LOCAL)  # fmt: skip
        text = f"{key.value}={program.source(size)}"
        yield make_value("attention.window_sizes", text, site, token=text)


def position_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield `position.encoding`: what the rotary functions compute and where they are applied."""
    statements = [
        statement
        for scope in roles.scopes(Role.ROTARY)
        for statement in program.by_scope.get(scope, [])
        if not isinstance(statement.node, ast.Assert | ast.If)
    ]
    applied = [
        statement
        for scope in roles.scopes(Role.ATTENTION, Role.BLOCK)
        for statement in program.by_scope.get(scope, [])
        if any(re.search(r"rotary|rope", callee(call), re.I) for call in statement.calls)
        and not scope.endswith("__init__")
    ]
    if not statements:
        return
    guards = [canonical(p.test) for s in applied for p in s.parents if isinstance(p, ast.If)]
    spans = tuple(statement.span for statement in (*applied, *statements))
    site = Site("rotary embedding", "", spans[0], Rank.IDIOM)
    value = "rope" if applied else "none"
    value += "(some layers)" if any("layer" in guard for guard in guards) else ""
    texts = [CASTS.sub("", statement.text) for statement in statements]
    token = "\n".join([value, *texts, *(s.text for s in applied), *guards])
    yield replace(make_value("position.encoding", value, site, token=token), covers=spans)


def value_embed_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield placement, sharing and gate of the value embeddings."""
    for scope in roles.scopes(Role.VALUE_EMBEDS):
        statements = program.by_scope.get(scope, [])
        node = statements[-1].node if statements else None
        if isinstance(node, ast.Return) and node.value is not None:
            site = Site(f"{scope} > return", scope, statements[-1].span, Rank.IDIOM)
            token = "\n".join(statement.text for statement in statements)
            text = program.source(node.value)
            yield make_value("embedding.value_embeds.placement", text, site, token=token)
    for statement in program.statements:
        for target, value in assignments(statement.node):
            if is_shared_table(target, value):
                path = f"{statement.scope} > value_embeds"
                site = Site(path, statement.scope, statement.span, Rank.IDIOM)
                yield make_value("embedding.value_embeds.sharing", "True", site)
            if "ve_gate" in statement.names and "sigmoid" in statement.names:
                number, rest = coefficient(value)
                site = Site(
                    f"{statement.scope} > gate", statement.scope, statement.span, Rank.LOCAL
                )
                knob = "embedding.value_embeds.gate_scale"
                shown = program.source(number) if number is not None else "1"
                setting = make_value(knob, shown, site)
                yield replace(setting, token=f"{number_of(setting.folded)}*{rest}", literal=False)


def is_shared_table(target: ast.expr, value: ast.expr) -> bool:
    """Tell whether all layers take their value embeddings from one table."""
    named = isinstance(target, ast.Attribute) and re.match(r"value_embed\w*$", target.attr)
    if not named or not isinstance(value, ast.Call):
        return False
    made = value.args[0] if value.args else value
    if isinstance(made, ast.DictComp):
        return isinstance(made.value, ast.Name | ast.Attribute)
    if isinstance(made, ast.ListComp):
        return isinstance(made.elt, ast.Name | ast.Attribute)
    return callee(value) == "Embedding"


def layer_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield which layers have attention or an MLP, and how often the layers run."""
    for scope in roles.scopes(Role.BLOCK):
        for statement in program.by_scope.get(scope, []):
            for target, value in assignments(statement.node):
                if isinstance(target, ast.Attribute) and target.attr in ("attn", "mlp"):
                    yield from every_n(program, statement, target.attr, value)
    for scope in roles.scopes(Role.MODEL):
        for statement in program.by_scope.get(scope, []):
            loops = [parent for parent in statement.parents if isinstance(parent, ast.For)]
            runs = re.search(r"\b(block|layer)\w*\(|\.h\[", statement.text) is not None
            extra = repeated_loop(loops) if runs else None
            if extra is not None:
                site = Site(f"{scope} > loops", scope, statement.span, Rank.IDIOM)
                text = program.source(extra.iter)
                yield make_value("model.layer_loops", text, site, token=text)


def repeated_loop(loops: list[ast.For]) -> ast.For | None:
    """Return the loop that makes the layers run more often than there are layers."""
    for loop in loops:
        text = canonical(loop.iter)
        if "range(" in text and (len(loops) > 1 or "*" in text):
            return loop
    return None


def every_n(
    program: Program, statement: Statement, part: str, value: ast.expr
) -> Iterator[Setting]:
    """Yield the condition under which a layer has its attention or MLP."""
    test = value.test if isinstance(value, ast.IfExp) else None
    for parent in statement.parents:
        test = parent.test if isinstance(parent, ast.If) else test
    if test is None or "layer" not in canonical(test):
        return
    knob = "attention.every_n_layers" if part == "attn" else "mlp.every_n_layers"
    site = Site(f"{statement.scope} > {part}", statement.scope, statement.span, Rank.IDIOM)
    yield make_value(knob, program.source(test), site, token=canonical(test))


def softcap_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the cap of `cap * tanh(x / cap)`: on the logits, or on attention scores."""
    for statement in program.statements:
        if "tanh" not in statement.names:
            continue
        role = roles.of(statement.scope)
        if role not in (Role.MODEL, Role.ATTENTION):
            continue
        for node in ast.walk(statement.node):
            cap = cap_of(node)
            if cap is not None:
                knob = "head.softcap" if role is Role.MODEL else "attention.softcap"
                site = Site(
                    f"{statement.scope} > tanh", statement.scope, statement.span, Rank.IDIOM
                )
                yield replace(make_setting(program, names, knob, cap, site), token=canonical(cap))


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
