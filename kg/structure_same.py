"""Edits that say the same in other words: a literal that gets a name, a name that gets another."""

from __future__ import annotations

import ast
import re
from collections import Counter

from kg.anonymous import body_text, in_order, numbered
from kg.canonical import canonical
from kg.changes_settings import NUMBER, value_of
from kg.config_names import assignments
from kg.fold import fold
from kg.given import default_given
from kg.idioms_attention import FORMAT
from kg.late import late
from kg.program import Program
from kg.settings import is_literal
from kg.structure import Cluster, is_report


def says_the_same(cluster: Cluster) -> bool:
    """Tell whether a group of edited statements only names a literal, or renames something."""
    acting = Cluster(
        [s for s in cluster.removed if not is_report(s)],
        [s for s in cluster.added if not is_report(s)],
        cluster.names,
    )
    if not acting.removed or not acting.added:
        return False
    return (
        is_default_kept(acting)
        or without_constants(acting)
        or is_renaming(acting)
        or same_numbers(acting)
    )


def only_renames(cluster: Cluster, before: Program, after: Program) -> bool:
    """Tell whether all edits lie in functions that are alike but for their locals' names."""
    scopes = {statement.scope for statement in cluster.statements()}
    if not cluster.removed or not cluster.added or "" in scopes:
        return False
    return all(body_text(before, scope) == body_text(after, scope) for scope in scopes)


def is_default_kept(cluster: Cluster) -> bool:
    """Tell whether values are only made settings that the shell may change: defaults stay."""
    sides = []
    for statements in (cluster.removed, cluster.added):
        pairs = [(t, default_given(v)) for s in statements for t, v in assignments(s.node)]
        sides.append(Counter(f"{canonical(t)}={fold(v)!r}" for t, v in pairs if is_literal(v)))
        if len(pairs) != len(statements) or not all(is_literal(v) for _, v in pairs):
            return False
    return sides[0] == sides[1]


def same_numbers(cluster: Cluster) -> bool:
    """Tell whether both sides are equal but for how their numbers are written: `15`, `15.0`."""
    sides = [
        Counter(plain(statement.text) for statement in statements)
        for statements in (cluster.removed, cluster.added)
    ]
    return sides[0] == sides[1]


def plain(text: str) -> str:
    """Return a text with its numbers written one way."""
    return NUMBER.sub(lambda found: repr(value_of(found.group())), text)


UNBRACKETED = str.maketrans("", "", "()")
CASTS = late(
    r"\.(bfloat16|float|half|double)\(\)"
    r"|\.to\((?:dtype=)?(?:[\w.]*dtype[\w.]*|torch\.(?:bfloat16|float\d+|half))\)"
)


ITSELF = late(r"^(?:([\w.]+)=\1|[\w.]+)$")  # what is left of `logits = logits.float()`


def only_casts(cluster: Cluster) -> bool:
    """Tell whether two sides differ only in casts to and from number formats."""
    sides = [
        Counter(
            text
            for line in in_order(side)
            if not FORMAT.match(line)
            and not ITSELF.match(text := CASTS.sub("", plain(line)).translate(UNBRACKETED))
        )
        for side in (cluster.removed, cluster.added)
    ]
    return any(CASTS.search(s.text) for s in cluster.statements()) and sides[0] == sides[1]


def without_constants(cluster: Cluster) -> bool:
    """Tell whether both sides are equal once new and dropped constants are put in place."""
    sides = []
    for statements in (cluster.removed, cluster.added):
        values = {
            target.id: (statement, written(value))
            for statement in statements
            for target, value in assignments(statement.node)
            if isinstance(target, ast.Name) and target.id in cluster.names and is_plain(value)
        }
        texts = [
            put_in_place(statement.text, {name: text for name, (_, text) in values.items()})
            for statement in statements
            if all(statement is not defined for defined, _ in values.values())
        ]
        sides.append(Counter(texts))
    return sides[0] == sides[1]


def is_plain(value: ast.expr) -> bool:
    """Tell whether a value is the same wherever it is written: a literal, arithmetic on names."""
    return is_literal(value) or all(isinstance(node, ARITHMETIC) for node in ast.walk(value))


ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant, ast.Name,
              ast.Attribute, ast.expr_context)  # fmt: skip


def written(value: ast.expr) -> str:
    """Return the canonical text of a literal."""
    if not is_literal(value):
        return canonical(value)
    return ast.unparse(value) if not isinstance(value, ast.Constant) else repr(value.value)


def put_in_place(text: str, values: dict[str, str]) -> str:
    """Replace names by texts."""
    for name, value in values.items():
        literal = value.replace("\\", "\\\\")
        text = re.sub(rf"(?<![\w.']){re.escape(name)}(?![\w'=])", literal, text)
    return text


def is_renaming(cluster: Cluster) -> bool:
    """Tell whether both sides are equal but for names that only one of them has."""
    if len(cluster.removed) != len(cluster.added) or not cluster.names:
        return False
    old, new = in_order(cluster.removed), in_order(cluster.added)
    return numbered(old, cluster.names) == numbered(new, cluster.names)


def weighs(cluster: Cluster) -> bool:
    """Tell whether an edit computes a loss: targets that are masked only count otherwise."""
    bound = (t for s in cluster.statements() for t, _ in assignments(s.node))
    augmented = (s.node.target for s in cluster.statements() if isinstance(s.node, ast.AugAssign))
    return any(LOSS.search(canonical(target)) for target in (*bound, *augmented))


LOSS = re.compile(r"loss|nll|\bce\b|entropy|logits", re.I)
