"""Where a transformer normalises, and how its residual stream is updated."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from kg.canonical import canonical
from kg.config_names import assignments, callee
from kg.idioms_attention import BACKENDS, ROTATES
from kg.nodes import under
from kg.program import Program, Span, Statement, is_forward
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value
from kg.stream import branch_part, branches_in, has_norm, is_norm, stream_updates


@dataclass(slots=True)
class Found:
    """The places where one program normalises, with the lines that do it."""

    sites: dict[str, list[Span]] = field(default_factory=dict)
    how: set[str] = field(default_factory=set)  # functions that normalise queries and keys
    branches: set[str] = field(default_factory=set)  # that the blocks have: attn, mlp

    def add(self, site: str, *statements: Statement) -> None:
        """Note one place."""
        self.sites.setdefault(site, []).extend(statement.span for statement in statements)


def norm_settings(program: Program, roles: Roles) -> Iterator[Setting]:
    """Yield `norm.placement` and `attention.qk_norm`."""
    found = Found()
    for scope in roles.known:
        role, statements = roles.of(scope), program.by_scope.get(scope, [])
        if not statements or scope in program.classes or scope.endswith("__init__"):
            continue
        if role is Role.BLOCK:
            block_sites(statements, found)
        elif role is Role.MODEL and (is_forward(scope) or runs_layers(statements)):
            model_sites(statements, found)
        elif role in (Role.ATTENTION, Role.MLP):
            inner_sites(statements, role, found)
    yield from placement_setting(found)
    yield from qk_setting(found)


def placement_setting(found: Found) -> Iterator[Setting]:
    """Name the layout of the norms of the residual stream."""
    sites = {site: spans for site, spans in found.sites.items() if not site.startswith("qk")}
    if not sites:
        return
    spans = tuple(span for group in sites.values() for span in group)
    site = Site("norm placement", "", spans[0], Rank.IDIOM)
    places = {*sites, *mirrored(set(sites), found.branches)}
    value = placement_name(places)
    setting = make_value("norm.placement", value, site, token=" ".join(sorted(places)))
    yield replace(setting, parts=frozenset(places), covers=spans)


def mirrored(sites: set[str], branches: set[str]) -> set[str]:
    """Return the places of the one branch for the other where a block has but one.

    An MLP that experts take the place of has not lost its norm.
    """
    if len(branches) != 1:
        return set()
    (there,) = branches
    missing = "mlp" if there == "attn" else "attn"
    own = {site.partition(":")[2] for site in sites if site.startswith(f"{there}:")}
    return {f"{missing}:{place}" for place in own & {"pre", "post", "outer"}}


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
        how = " ".join(sorted(found.how))
        setting = make_value("attention.qk_norm", value, site, token=f"{sorted(sites)} {how}")
        yield replace(setting, covers=spans, parts=frozenset(sites), long=how)


def inner_sites(statements: list[Statement], role: Role, found: Found) -> None:
    """Note the norms inside attention and MLP."""
    part = "attn" if role is Role.ATTENTION else "mlp"
    rotated = False
    for statement in statements:
        for call in statement.calls:
            rotated = rotated or bool(ROTATES.search(callee(call)))
            if not is_norm(call) or not call.args:
                continue
            name = canonical(call.args[0])
            if rotated and re.search(r"\b[qk]", name):
                found.how.add("after rotation")
            if part == "attn" and re.match(r"q\w{0,6}$|.*c_q\(|.*\bq\b", name):
                found.add("qk:q", statement)
                found.how.add(callee(call))
            elif part == "attn" and re.match(r"k\w{0,6}$|.*c_k\(|.*\bk\b", name):
                found.add("qk:k", statement)
                found.how.add(callee(call))
            elif part == "attn" and re.match(r"v\w{0,3}$", name):
                if is_attended(statement, statements):
                    found.add("attn:v", statement)
            else:
                found.add(f"{part}:inner", statement)
        if part == "attn":
            length_sites(statement, rotated, found)


def is_attended(statement: Statement, body: list[Statement]) -> bool:
    """Tell whether attention is given what a statement sets: a norm aside is of something else."""
    wanted = {t.id for t, _ in assignments(statement.node) if isinstance(t, ast.Name)}
    calls = [s for s in body if any(callee(call) in BACKENDS for call in s.calls)]
    return not calls or any(s is statement or wanted & s.names for s in calls)


def length_sites(statement: Statement, rotated: bool, found: Found) -> None:
    """Note queries and keys that are divided by their own length: `q / q.norm(dim=-1)`."""
    for target, value in assignments(statement.node):
        if not isinstance(target, ast.Name) or not re.match(r"[qk]\w{0,6}$", target.id):
            continue
        if isinstance(value, ast.BinOp) and LENGTH[type(value.op)].search(canonical(value.right)):
            found.add(f"qk:{target.id[0]}", statement)
            found.how |= {"l2", "after rotation"} if rotated else {"l2"}


LENGTH = defaultdict(
    lambda: re.compile(r"$^"),
    {ast.Div: re.compile(r"\bnorm\(|sqrt\("), ast.Mult: re.compile(r"rsqrt\(")},
)


def model_sites(statements: list[Statement], found: Found) -> None:
    """Note the norms of the whole model: after the embedding, in the layer loop, at the end."""
    looped = False
    for statement in statements:
        in_loop = any(isinstance(parent, ast.For | ast.While) for parent in statement.parents)
        looped = looped or in_loop or isinstance(statement.node, ast.For)
        if not any(is_norm(call) for call in statement.calls):
            continue
        if not in_loop:
            found.add("final" if looped else "embedding", statement)
        elif norms_stream(statement) and carries_on(statement, statements):
            found.add("stream", statement)


def norms_stream(statement: Statement) -> bool:
    """Tell whether a statement normalises what it sets, not only what it gives to a module."""
    given = {
        id(inner)
        for call in statement.calls
        if not is_norm(call)
        for argument in call.args
        for inner in under(argument)
    }
    return any(is_norm(call) and id(call) not in given for call in statement.calls)


def runs_layers(statements: list[Statement]) -> bool:
    """Tell whether a method of the model loops over its layers: the trunk of a forward pass."""
    return any(
        LAYER.search(s.text) and any(isinstance(p, ast.For) for p in s.parents) for s in statements
    )


def carries_on(statement: Statement, statements: list[Statement]) -> bool:
    """Tell whether what a statement sets goes on to the next layer; a loss term's norm does not."""
    for target, _ in assignments(statement.node):
        if not isinstance(target, ast.Name):
            continue
        if any(target.id in s.names and LAYER.search(s.text) for s in statements):
            return True
    return False


LAYER = re.compile(r"\b(block|layer)\w*\(")


def block_sites(statements: list[Statement], found: Found) -> None:
    """Note for each branch of a block whether its input, its output or the sum is normalised."""
    for update in stream_updates(statements):
        lines = (update.statement, *update.used)
        for node in under(update.whole):
            part = branch_part(node)
            found.branches |= {part} - {""}
            if part and isinstance(node, ast.Call) and any(map(has_norm, node.args)):
                found.add(f"{part}:pre", *lines)
            if is_norm(node) and isinstance(node, ast.Call) and node.args:
                inner = node.args[0]
                place = "outer" if isinstance(inner, ast.BinOp) else "post"
                for name in branches_in(inner):
                    if not within_branch(inner, name):
                        found.add(f"{name}:{place}", *lines)


def within_branch(inner: ast.expr, name: str) -> bool:
    """Tell whether a branch sits in the input of another branch, not in the sum normalised."""
    return any(
        name in branches_in(argument)
        for node in under(inner)
        if isinstance(node, ast.Call) and branch_part(node) not in ("", name)
        for argument in node.args
    )
