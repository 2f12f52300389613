"""Tables of value embeddings: which layers have one, whether they share it, and its gate."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from kg.anonymous import body_text
from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.fold import number_of
from kg.nodes import under
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, coefficient, make_value


def value_embed_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield placement, sharing and gate of the value embeddings."""
    for scope in roles.scopes(Role.VALUE_EMBEDS):
        statements = program.by_scope.get(scope, [])
        node = statements[-1].node if statements else None
        if isinstance(node, ast.Return) and node.value is not None and not is_false(node.value):
            site = Site(f"{scope} > return", scope, statements[-1].span, Rank.IDIOM)
            token = body_text(program, scope)
            text = program.source(node.value)
            yield make_value("embedding.value_embeds.placement", text, site, token=token)
    for statement in program.statements:
        for target, value in assignments(statement.node):
            if isinstance(target, ast.Attribute) and not is_shared_table(target, value):
                yield from table_layers(program, statement, target, value)
            if is_shared_table(target, value):
                path = f"{statement.scope} > value_embeds"
                site = Site(path, statement.scope, statement.span, Rank.IDIOM)
                knob, count = "embedding.value_embeds.sharing", tables_in(value)
                yield replace(make_value(knob, "True", site), token=f"True{count}", exact=True)
            put = isinstance(target, ast.Subscript) and TABLES.search(canonical(target.value))
            if put and isinstance(value, ast.Name | ast.Attribute):
                path = f"{statement.scope} > value_embeds item"
                site = Site(path, statement.scope, statement.span, Rank.IDIOM)
                yield make_value("embedding.value_embeds.sharing", "True", site)
            if "value_" in statement.text and shares_tables(names, value, statement.scope):
                path = f"{statement.scope} > value_embeds key"
                site = Site(path, statement.scope, statement.span, Rank.IDIOM)
                yield make_value("embedding.value_embeds.sharing", "True", site)
            if "ve_gate" in statement.names and statement.names & SQUASHES:
                number, rest = coefficient(value)
                site = Site(
                    f"{statement.scope} > gate", statement.scope, statement.span, Rank.LOCAL
                )
                knob = "embedding.value_embeds.gate_scale"
                shown = (program.source(number) or ast.unparse(number)) if number else "1"
                setting = make_value(knob, shown, site)
                yield replace(setting, token=f"{number_of(setting.folded)}*{rest}", literal=False)


SQUASHES = frozenset({"sigmoid", "tanh", "softplus", "relu", "silu", "exp", "hardsigmoid"})


def is_false(node: ast.expr) -> bool:
    """Tell whether no layer is let through: it is as if there were no tables at all."""
    return isinstance(node, ast.Constant) and not node.value


def table_layers(
    program: Program, statement: Statement, target: ast.Attribute, value: ast.expr
) -> Iterator[Setting]:
    """Yield which layers get a table of value embeddings, by the comprehension that makes them."""
    made = value.args[0] if isinstance(value, ast.Call) and value.args else value
    if not TABLES.match(target.attr) or not isinstance(made, ast.DictComp | ast.ListComp):
        return
    source = made.generators[0]
    test = source.ifs[0] if source.ifs else source.iter
    site = Site(f"{statement.scope} > tables", statement.scope, statement.span, Rank.IDIOM)
    token = canonical(source.iter) + canonical(source.ifs[0] if source.ifs else None)
    knob = "embedding.value_embeds.placement"
    yield make_value(knob, program.source(test), site, token=token)


def shares_tables(names: Names, value: ast.expr, scope: str) -> bool:
    """Tell whether several layers look into one table: `value_embeds[str(i // 2)]`."""
    for node in under(value):
        if not isinstance(node, ast.Subscript) or not TABLES.search(canonical(node.value)):
            continue
        bound = names.definition(node.slice, scope)
        key = bound[0] if bound is not None else node.slice
        if any(isinstance(n, ast.FloorDiv | ast.Mod) for n in under(key)):
            return True
    return False


TABLES = re.compile(r"(?:value|ve)_(?:emb\w*|tables?|proj\w*)$")


def is_shared_table(target: ast.expr, value: ast.expr) -> bool:
    """Tell whether all layers take their value embeddings from one table."""
    named = isinstance(target, ast.Attribute) and SHARED_TABLE.match(target.attr)
    if not named or not isinstance(value, ast.Call):
        return False
    made = value.args[0] if value.args else value
    if isinstance(made, ast.DictComp):
        return isinstance(made.value, ast.Name | ast.Attribute)
    if isinstance(made, ast.ListComp):
        few = "layer" not in canonical(made.generators[0].iter)  # tables than layers
        return few or isinstance(made.elt, ast.Name | ast.Attribute)
    return callee(value) == "Embedding"


def tables_in(value: ast.expr) -> str:
    """Return what a list of shared tables is made over, "" for a single table."""
    lists = (node for node in ast.walk(value) if isinstance(node, ast.ListComp))
    return next((canonical(made.generators[0].iter) for made in lists), "")


SHARED_TABLE = re.compile(
    r"value_(?:emb\w*|tables?)$|(?:shared|common|single)_(?:ve|value)\w*$|ve_(?:shared|table)$"
)
