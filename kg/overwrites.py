"""What the training loop writes into parameter groups after the optimizer was built."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kg.canonical import canonical
from kg.config_names import target_names
from kg.nodes import under
from kg.program import Program, Statement

KIND_KEYS: Final = ("kind", "type", "optim", "optimizer", "algo", "algorithm", "use_muon")


@dataclass(frozen=True, slots=True, eq=False)
class Overwrite:
    """One `group["key"] = value` after the optimizer was built."""

    key: str
    value: ast.expr
    kinds: frozenset[str] | None  # the group kinds it is limited to, None for all
    statement: Statement
    keeps: bool  # the new value is made from the group's own, so that one still acts


def loop_overwrites(program: Program, rules: dict[str, str]) -> Iterator[Overwrite]:
    """Yield the later writes to a group's entries, with the kinds they are limited to."""
    for statement in program.statements:
        if not isinstance(statement.node, ast.Assign):
            continue
        for target in statement.node.targets:
            key = written_key(target)
            loop = next((p for p in reversed(statement.parents) if isinstance(p, ast.For)), None)
            if key is None or loop is None:
                continue
            group = set(target_names(loop.target))
            if not group & set(node_names(target)) or "group" not in canonical(
                loop.target
            ) + canonical(loop.iter):
                continue
            value = statement.node.value
            keeps = bool(group & set(node_names(value)))
            yield Overwrite(key, value, guarded_kinds(statement, rules), statement, keeps)


def guarded_kinds(statement: Statement, rules: dict[str, str]) -> frozenset[str] | None:
    """Return the group kinds that the enclosing tests let through, None for all."""
    allowed: set[str] | None = None
    for parent in statement.parents:
        if not isinstance(parent, ast.If):
            continue
        kinds = {rules.get(kind) or kind_named(kind) for kind in compared_kinds(parent.test)}
        if not kinds:
            continue
        in_else = bool(parent.orelse) and statement.node.lineno >= parent.orelse[0].lineno
        passed = {"muon", "adamw"} - kinds if in_else else kinds
        allowed = passed if allowed is None else allowed & passed
    return None if allowed is None else frozenset(allowed)


def written_key(target: ast.expr) -> str | None:
    """Return the key of `group["key"]`, None for any other target."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return target.slice.value if isinstance(target.slice.value, str) else None
    return None


def kind_named(name: str) -> str:
    """Return the update rule a constructor's name stands for; MuonAdamW leaves it to its groups."""
    plain = name.lower()
    if "muon" in plain and "adam" in plain:
        return "muon+adamw"
    for known in ("muon", "adam"):
        if known in plain:
            return "muon" if known == "muon" else "adamw"
    return plain


def compared_kinds(test: ast.expr) -> list[str]:
    """Return the strings that `group["kind"] == "..."` compares with."""
    found = []
    for node in under(test):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Subscript):
            index = node.left.slice
            if isinstance(index, ast.Constant) and index.value in KIND_KEYS:
                for right in node.comparators:
                    found += [c.value for c in under(right) if isinstance(c, ast.Constant)]
    return [kind for kind in found if isinstance(kind, str)]


def node_names(node: ast.AST) -> Iterator[str]:
    """Yield the names and attributes under a node."""
    for inner in under(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
