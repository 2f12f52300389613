"""What a parameter group holds, read from where its parameters come from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, TypeGuard

from kg.canonical import canonical
from kg.config_names import Names, assignments
from kg.nodes import under
from kg.overwrites import node_names
from kg.program import Statement

# What a group holds, by the attribute its parameters are taken from; a first match wins.
HOLDERS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"^(lm_?head|unembed\w*|output_proj|out_head)$"), "lm_head"),
    (re.compile(r"^(value_(?:emb\w*|tables?)|ves?)$"), "value_embeds"),
    (re.compile(r"^(resid_lambdas?|resid_scales?)$"), "resid_lambda"),
    (re.compile(r"^(x0_lambdas?|x0_scales?)$"), "x0_lambda"),
    (re.compile(r"^(wte|wpe|embed|embeds|embedding|tok_emb\w*|token_emb\w*)$"), "embedding"),
    (re.compile(r"^(h|blocks|layers)$"), "matrix"),
)
# Names of a whole model: its parameters are one group.
WHOLE: Final = frozenset({"model", "self", "net", "raw_model", "module", "network", "gpt"})


def is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    """Tell whether a node is a plain name."""
    return isinstance(node, ast.Name)


def holder_of(params: ast.expr, statement: Statement, names: Names) -> str:
    """Return what a group holds: the model attribute its parameters are taken from."""
    pending, seen = [params], set[str]()
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.ListComp) and isinstance(node.elt, ast.Attribute):
            node = node.elt  # `[b.gate for b in self.transformer.h]` holds gates
            if node.attr in ("weight", "bias") and isinstance(node.value, ast.Attribute):
                node = node.value
            if not any(pattern.match(node.attr) for pattern, _ in HOLDERS):
                return node.attr
        chosen = "scalar" if is_small(node) else filtered_by(node)
        if chosen:
            return chosen
        for name in held_names(node, statement, names):
            for pattern, held in HOLDERS:
                if pattern.match(name):
                    return held
        for name in node_names(node):
            if name not in seen:
                seen.add(name)
                pending += sources(name, statement, names)
    for part in under(params):
        if isinstance(part, ast.Attribute) and part.attr in ("parameters", "named_parameters"):
            whole = isinstance(part.value, ast.Name) and part.value.id in WHOLE
            return "all" if whole else canonical(part.value).rpartition(".")[2]
    words = list(node_names(params))
    stem = re.sub(r"_?(params?|parameters|group)$", "", words[0]) if words else ""
    return next((held for pattern, held in HOLDERS if pattern.match(stem)), stem)


def is_small(node: ast.expr) -> bool:
    """Tell whether `[p for p in ... if p.ndim != 2]` picks what is no matrix."""
    tests = node.generators[0].ifs if isinstance(node, ast.ListComp) else []
    return any(SMALL.search(canonical(test)) for test in tests)


SMALL: Final = re.compile(r"\.(?:ndim|dim\(\))(?:!=2|<2|<=1|==[01])\)?$")


def filtered_by(node: ast.expr) -> str:
    """Return what `[p for n, p in ... if "ve_gate" in n]` picks, "" for a part of the layers."""
    for test in node.generators[0].ifs if isinstance(node, ast.ListComp) else ():
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In):
            word = test.left.value if isinstance(test.left, ast.Constant) else None
            if isinstance(word, str) and not LAYER_PART.search(word):
                known = next((held for pattern, held in HOLDERS if pattern.match(word)), None)
                return known or re.sub(r"\W+", "_", word).strip("_")
    return ""


LAYER_PART: Final = re.compile(
    r"attn|attention|mlp|ffn|c_q|c_k|c_v|c_fc|c_proj|(?:^|\.)weight|^h\.|block"
)


def held_names(node: ast.expr, statement: Statement, names: Names) -> Iterator[str]:
    """Yield the attributes of an expression, and the names that stand for nothing else."""
    for inner in under(node):
        if isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Name) and not sources(inner.id, statement, names):
            yield inner.id


def sources(name: str, statement: Statement, names: Names) -> list[ast.expr]:
    """Return the expressions a name's value comes from: its last assignment, what it loops over."""
    found: list[ast.expr] = []
    for bound in names.locals.get((statement.scope, name), ()):
        if bound.span[0] > statement.span[0]:
            break
        if isinstance(bound.node, ast.For):
            found.append(bound.node.iter)
        else:
            values = (v for t, v in assignments(bound.node) if is_name(t) and t.id == name)
            found = [*values] or found
    found += gathered(name, statement, names) if found else []
    outer = names.definition(ast.Name(id=name), statement.scope) if not found else None
    return found if outer is None else [outer[0]]


def gathered(name: str, statement: Statement, names: Names) -> Iterator[ast.expr]:
    """Yield what is appended to a list, or to the lists in one: `by_layer[i].extend(...)`."""
    for other in names.program.by_scope.get(statement.scope, ()):
        for call in other.calls if name in other.names else ():
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("append", "extend"):
                owner = call.func.value
                owner = owner.value if isinstance(owner, ast.Subscript) else owner
                if is_name(owner) and owner.id == name:
                    yield from call.args


def tested_holder(statement: Statement) -> str:
    """Return what the test over a statement picks: `elif "lm_head" in path:`, "all" if none."""
    for parent in reversed(statement.parents):
        if not isinstance(parent, ast.If):
            continue
        if any(node is statement.node for node in parent.orelse):
            return "rest"
        words = (n.value for n in under(parent.test) if isinstance(n, ast.Constant))
        for word in words:
            found = (held for pattern, held in HOLDERS if pattern.match(str(word)))
            if isinstance(word, str):
                return next(found, re.sub(r"\W+", "_", word).strip("_"))
        return "rest"
    return "all"
