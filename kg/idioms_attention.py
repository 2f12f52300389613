"""Attention: its kernel, projections, windows and positions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.anonymous import body_text
from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_setting, make_value

BACKENDS: Final = {
    "flash_attn_func": "fa3",
    "flash_attn_varlen_func": "fa3",
    "flash_attn_qkvpacked_func": "fa3",
    "scaled_dot_product_attention": "sdpa",
    "flex_attention": "flex_attention",
    "memory_efficient_attention": "xformers",
}
SDP_SWITCH: Final = re.compile(r"enable_(cudnn|flash|math|mem_efficient)_sdp\((True|1)?\)")
ROTATES: Final = re.compile(r"rotary|rope|rotate", re.I)
# Casts and devices inside the rotary functions say nothing about the encoding.
CASTS: Final = re.compile(r"\.(bfloat16|float|half|double)\(\)|\.to\([^()]*\)|,?device=[\w.]+")
FORMAT: Final = re.compile(r"^[\w?]+=.*torch\.(bfloat16|float\d+|half)\b")  # `cast = torch.half if`
OWN_NAME: Final = re.compile(r"\?\d+")  # a dropped line takes its names with it


def attention_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield the settings that are read from how attention is wired."""
    yield from backend_settings(program)
    yield from projection_settings(program, roles)
    yield from window_settings(program, names, roles)
    yield from position_settings(program, roles)


def backend_settings(program: Program) -> Iterator[Setting]:
    """Yield `attention.backend`: the kernels called, and the SDPA back ends allowed."""
    kernels = BACKENDS.keys() - {name.rpartition(".")[2] for name in program.functions}
    used: dict[str, Statement] = {}
    allowed: dict[str, Statement] = {}
    for statement in program.statements:
        named = kernels & statement.names
        if named and not isinstance(statement.node, ast.Import | ast.ImportFrom):
            # called, or handed to what calls it: `partial(flex_attention, ...)`
            for function in sorted(named):
                used.setdefault(BACKENDS[function], statement)
        if "_sdp(" in statement.text:
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
            and re.match(
                r"^(c_|w)?(q|k|v|qkv|kv|qk)(_(proj|linear|down|up|a|b|low|lora\w*))?$|c_attn|in_proj",
                target.attr,
            )
            and isinstance(value, ast.Call)
        ]
        if not made:
            continue
        fused = any(re.search(r"qkv|c_attn|in_proj", name) for name, _, _ in made)
        partly = any(re.search(r"kv|qk", name) for name, _, _ in made)
        value = "fused" if fused else "partly fused" if partly else "separate"
        if value == "separate" and len(made) != 3:
            value = "+".join(name for name, _, _ in made)
        if any(isinstance(call, ast.Call) and with_bias(call) for _, call, _ in made):
            value += "+bias"
        spans = tuple(statement.span for _, _, statement in made)
        site = Site(f"{owner}.__init__ > qkv", owner, spans[0], Rank.IDIOM)
        kinds = sorted(
            f"{name}={callee(call)}{with_bias(call)}"
            for name, call, _ in made
            if isinstance(call, ast.Call)
        )
        setting = make_value("attention.qkv_projection", value, site, token=" ".join(kinds))
        yield replace(setting, covers=spans)


def with_bias(call: ast.Call) -> str:
    """Return `+bias` for a projection that is told to have one."""
    told = (k.value for k in call.keywords if k.arg == "bias")
    return "+bias" if any(isinstance(v, ast.Constant) and v.value for v in told) else ""


def window_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield `attention.window_sizes`: windows beyond long and short, and forced layers."""
    for scope in roles.scopes(Role.WINDOWS):
        for statement in program.by_scope.get(scope, []):
            for target, value in assignments(statement.node):
                if isinstance(value, ast.Dict):
                    yield from window_entries(program, names, statement, value)
                elif isinstance(target, ast.Subscript) and "window" in canonical(target):
                    text = f"{program.source(target)}={program.source(value)}"
                    site = Site(f"{scope} > {canonical(target)}", scope, statement.span, Rank.LOCAL)
                    yield make_value("attention.window_sizes", text, site, token=text)


def window_entries(
    program: Program, names: Names, statement: Statement, value: ast.Dict
) -> Iterator[Setting]:
    """Yield the windows of a pattern letter other than L and S."""
    for key, entry in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str | int):
            continue
        size = entry.elts[0] if isinstance(entry, ast.Tuple) and entry.elts else entry
        if key.value == "S" and not isinstance(size, ast.Name):
            site = Site(
                f"{statement.scope} > window S", statement.scope, statement.span, Rank.LOCAL
            )
            yield make_setting(program, names, "attention.short_window", size, site)
        if key.value in ("L", "S"):
            continue
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
        if any(ROTATES.search(callee(call)) for call in statement.calls)
        and not scope.endswith("__init__")
    ]
    if not statements:
        return
    guards = [canonical(p.test) for s in applied for p in s.parents if isinstance(p, ast.If)]
    spans = tuple(statement.span for statement in (*applied, *statements))
    site = Site("rotary embedding", (*applied, *statements)[0].scope, spans[0], Rank.IDIOM)
    value = "rope" if applied else "none"
    value += "(some layers)" if any("layer" in guard for guard in guards) else ""
    bodies = [body_text(program, scope) for scope in roles.scopes(Role.ROTARY)]
    lines = [line for body in bodies for line in body.splitlines() if not FORMAT.match(line)]
    texts = [CASTS.sub("", OWN_NAME.sub("?", line)) for line in lines]
    texts = [text for text in texts if not text.startswith(("(Assert", "If "))]
    calls = {rotated(c) for s in applied for c in s.calls if ROTATES.search(callee(c))}
    token = "\n".join([value, *texts, *sorted(calls), *guards])
    yield replace(make_value("position.encoding", value, site, token=token), covers=spans)


def rotated(call: ast.Call) -> str:
    """Return a rotation with what it turns named by its kind: a second query is one more query."""
    turned = call.args[0] if call.args else None
    if turned is None or any(isinstance(node, ast.Slice) for node in ast.walk(turned)):
        return canonical(call)
    kind = QUERY_OR_KEY.search(canonical(turned))
    if kind is None:
        return canonical(call)
    rest = [canonical(a) for a in (*call.args[1:], *(k.value for k in call.keywords))]
    return f"{callee(call)}({kind.group(1)},{','.join(rest)})"


QUERY_OR_KEY: Final = re.compile(r"(?<![A-Za-z])([qk])(?:uer(?:y|ies)|eys?)?\d?(?:_\w*)?\b")
