"""Where a transformer normalises, and how its residual stream is updated."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from kg.canonical import canonical
from kg.config_names import callee
from kg.program import Program, Span, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value

NORM_CALL: Final = re.compile(
    r"^(norm\d?|\w*_norm\d?|\w*rms_?norm\w*|layer_norm|ln_?\w{0,6}|\w+_ln|norm_\w+|normali[sz]e)$",
    re.I,
)
ATTENTION_NAME: Final = re.compile(r"attn|attention", re.I)
MLP_NAME: Final = re.compile(r"mlp|ffn?|feed|moe|expert", re.I)


def is_norm(node: ast.AST) -> bool:
    """Tell whether a node calls a normalisation."""
    return isinstance(node, ast.Call) and bool(NORM_CALL.match(callee(node)))


@dataclass(slots=True)
class Found:
    """The places where one program normalises, with the lines that do it."""

    sites: dict[str, list[Span]] = field(default_factory=dict)

    def add(self, site: str, statement: Statement) -> None:
        """Note one place."""
        self.sites.setdefault(site, []).append(statement.span)


def norm_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield `norm.placement`, `attention.qk_norm` and `residual.parallel_block`."""
    found = Found()
    parallel: list[tuple[str, Statement]] = []
    for scope in roles.known:
        role, statements = roles.of(scope), program.by_scope.get(scope, [])
        if not statements or scope in program.classes or scope.endswith("__init__"):
            continue
        if role is Role.BLOCK:
            block_sites(statements, found, parallel)
        elif role is Role.MODEL and scope.endswith("forward"):
            model_sites(statements, found)
        elif role in (Role.ATTENTION, Role.MLP):
            inner_sites(statements, role, found)
    yield from placement_setting(found)
    yield from qk_setting(found)
    for scope, statement in parallel[:1]:
        site = Site(f"{scope} > parallel", scope, statement.span, Rank.IDIOM)
        yield make_value("residual.parallel_block", "True", site)


def placement_setting(found: Found) -> Iterator[Setting]:
    """Name the layout of the norms of the residual stream."""
    sites = {site: spans for site, spans in found.sites.items() if not site.startswith("qk")}
    if not sites:
        return
    spans = tuple(span for group in sites.values() for span in group)
    site = Site("norm placement", "", spans[0], Rank.IDIOM)
    value = placement_name(set(sites))
    setting = make_value("norm.placement", value, site, token=" ".join(sorted(sites)))
    yield replace(setting, parts=frozenset(sites), covers=spans)


def placement_name(sites: set[str]) -> str:
    """Name a set of norm places: `pre`, `pre+post`, `post`, with what differs from the usual."""
    words = []
    for place in ("pre", "post", "outer"):
        where = [part for part in ("attn", "mlp") if f"{part}:{place}" in sites]
        shown = "post_residual" if place == "outer" else place
        if len(where) == 2:
            words.append(shown)
        elif where:
            words.append(f"{shown}({where[0]}_only)")
    rest = sorted(s for s in sites if s.partition(":")[2] not in ("pre", "post", "outer"))
    words += [site for site in rest if site not in ("embedding", "final")]
    words += [f"no_{site}" for site in ("embedding", "final") if site not in sites]
    return "+".join(words) or "none"


def qk_setting(found: Found) -> Iterator[Setting]:
    """Yield whether queries and keys are normalised."""
    sites = {site: spans for site, spans in found.sites.items() if site.startswith("qk")}
    if sites:
        spans = tuple(span for group in sites.values() for span in group)
        site = Site("attention > qk norm", "", spans[0], Rank.IDIOM)
        value = "qk" if {"qk:q", "qk:k"} <= set(sites) else "".join(s[3:] for s in sorted(sites))
        setting = make_value("attention.qk_norm", value, site, token=" ".join(sorted(sites)))
        yield replace(setting, covers=spans, parts=frozenset(sites))


def inner_sites(statements: list[Statement], role: Role, found: Found) -> None:
    """Note the norms inside attention and MLP."""
    part = "attn" if role is Role.ATTENTION else "mlp"
    for statement in statements:
        for call in statement.calls:
            if not is_norm(call) or not call.args:
                continue
            name = canonical(call.args[0])
            if part == "attn" and re.match(r"q\w{0,6}$|.*c_q\(|.*\bq\b", name):
                found.add("qk:q", statement)
            elif part == "attn" and re.match(r"k\w{0,6}$|.*c_k\(|.*\bk\b", name):
                found.add("qk:k", statement)
            elif part == "attn" and re.match(r"v\w{0,3}$", name):
                found.add("attn:v", statement)
            else:
                found.add(f"{part}:inner", statement)


def model_sites(statements: list[Statement], found: Found) -> None:
    """Note the norms of the whole model: after the embedding, in the layer loop, at the end."""
    looped = False
    for statement in statements:
        in_loop = any(isinstance(parent, ast.For | ast.While) for parent in statement.parents)
        looped = looped or in_loop or isinstance(statement.node, ast.For)
        if any(is_norm(call) for call in statement.calls):
            found.add("stream" if in_loop else "final" if looped else "embedding", statement)


def block_sites(
    statements: list[Statement], found: Found, parallel: list[tuple[str, Statement]]
) -> None:
    """Note the norms around the attention and the MLP of a block, and whether both run at once."""
    local: dict[str, tuple[ast.expr, Statement]] = {}
    for statement in statements:
        node = statement.node
        value = node.value if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) else None
        if value is None:
            continue
        whole = inline(value, local)
        seen = {part for inner in ast.walk(whole) if (part := branch_part(inner))}
        if seen:
            note_branches(whole, statement, local, found)
        if {"attn", "mlp"} <= seen and is_sum(whole):
            parallel.append((statement.scope, statement))
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                updates = isinstance(whole, ast.BinOp) and target.id in canonical(whole)
                if updates or target.id == "x":
                    local.pop(target.id, None)
                else:
                    local[target.id] = (whole, statement)


def is_sum(node: ast.expr) -> bool:
    """Tell whether an expression adds both branches to the stream (rather than chaining them)."""
    parts: list[set[str]] = []
    pending: list[ast.expr] = [node]
    while pending:
        term = pending.pop()
        if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Add):
            pending += [term.left, term.right]
        else:
            parts.append({part for inner in ast.walk(term) if (part := branch_part(inner))})
    return {"attn"} in parts and {"mlp"} in parts


def branch_part(node: ast.AST) -> str:
    """Return `attn` or `mlp` for a call of such a sub-module, "" for anything else."""
    if not isinstance(node, ast.Call) or is_norm(node):
        return ""
    name = callee(node)
    if ATTENTION_NAME.search(name):
        return "attn"
    return "mlp" if MLP_NAME.match(name) else ""


def inline(node: ast.expr, local: dict[str, tuple[ast.expr, Statement]]) -> ast.expr:
    """Replace locals by what they were set to, a copy of the expression is returned."""
    if not any(isinstance(n, ast.Name) and n.id in local for n in ast.walk(node)):
        return node
    return Inliner(local).visit(copy.deepcopy(node))  # type: ignore[no-any-return]


class Inliner(ast.NodeTransformer):
    """Puts the definition of a local in its place, once."""

    def __init__(self, local: dict[str, tuple[ast.expr, Statement]]) -> None:
        self.local = local

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace one name."""
        return self.local[node.id][0] if node.id in self.local else node


def note_branches(
    whole: ast.expr,
    statement: Statement,
    local: dict[str, tuple[ast.expr, Statement]],
    found: Found,
) -> None:
    """Note for each branch whether its input, its output or the sum is normalised."""
    for node in ast.walk(whole):
        part = branch_part(node)
        if part and isinstance(node, ast.Call) and node.args and has_norm(node.args[0]):
            found.add(f"{part}:pre", statement)
        if is_norm(node) and isinstance(node, ast.Call) and node.args:
            inner = node.args[0]
            place = "outer" if isinstance(inner, ast.BinOp) else "post"
            for name in {branch_part(n) for n in ast.walk(inner)} - {""}:
                if not nested(inner, name):
                    found.add(f"{name}:{place}", statement)
    for name in {n.id for n in ast.walk(statement.node) if isinstance(n, ast.Name)}:
        if name in local and any(is_norm(call) for call in local[name][1].calls):
            part = next((p for n in ast.walk(whole) if (p := branch_part(n))), "attn")
            if f"{part}:pre" in found.sites:
                found.add(f"{part}:pre", local[name][1])


def has_norm(node: ast.expr) -> bool:
    """Tell whether an expression normalises anything."""
    return any(is_norm(inner) for inner in ast.walk(node))


def nested(inner: ast.expr, name: str) -> bool:
    """Tell whether a branch sits in the input of another branch, not in the sum normalised."""
    return any(
        branch_part(deep) == name
        for node in ast.walk(inner)
        if isinstance(node, ast.Call) and branch_part(node) not in ("", name)
        for argument in node.args
        for deep in ast.walk(argument)
    )
