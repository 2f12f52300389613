"""Features that a script has or has not: clipping, dropout, experts, tying, checkpointing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import TypeAlias

from kg.canonical import canonical
from kg.claimed import owners, retold, unclaimed
from kg.config_names import Names, callee
from kg.features import Feature, hinted_statements, matched
from kg.fold import UNFOLDABLE, Unfoldable, Value, fold, parse_expression
from kg.nodes import under
from kg.overwrites import node_names
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value

ON = "True"
Place: TypeAlias = tuple[Statement, str, str]  # the value it gives, the text that is compared


def feature_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield one setting for each feature the program has."""
    found: dict[tuple[str, bool], list[Place]] = {}  # by knob, those set aside apart
    whole: set[str] = set()
    ranked: set[str] = set()
    own = owners(program.statements, roles)
    for statement, rules in hinted_statements(program):
        role = roles.of(statement.scope)
        if role in (Role.CONFIG, Role.NORM) or isinstance(statement.node, NO_CODE):
            continue
        if is_print(statement):
            continue
        for rule, value in unclaimed(
            matched(statement.text, statement.names, role, rules), statement, own
        ):
            value = rate_given(statement, rule.argument) if rule.argument else value
            aside = bool(rule.aside and rule.aside.search(statement.text))
            place = (statement, value, own_text(statement, rule))
            found.setdefault((rule.knob, aside), []).append(place)
            if rule.whole:
                whole.add(rule.knob)
            if rule.aside:
                ranked.add(rule.knob)
    for knob, aside, places in by_function(found, roles):
        setting = retold(feature_setting(names, knob, places, knob in whole), places, roles)
        yield behind(setting, aside) if knob in ranked else setting


def is_print(statement: Statement) -> bool:
    """Tell whether a statement only prints: what it shows is made elsewhere."""
    node = statement.node
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and callee(call).startswith("print")


def behind(setting: Setting, aside: bool) -> Setting:
    """Let a setting speak after others: one that is not the program's own, or is not known.

    `Generator().manual_seed(0)` in a helper is not the seed of the run, and of
    `torch.manual_seed(seed)` with a seed from the environment the constant behind it is.
    """
    if aside:
        return replace(setting, rank=Rank.DERIVED, path=f"{setting.path} (aside)")
    unknown = isinstance(setting.folded, Unfoldable | str)
    return replace(setting, rank=Rank.LOCAL) if unknown else setting


def rate_given(statement: Statement, called: re.Pattern[str]) -> str:
    """Return what a call is given as its rate: by name, a constructor first, a function second."""
    for call in statement.calls:
        name = callee(call)
        if not called.search(name):
            continue
        named = [k.value for k in call.keywords if k.arg in RATES]
        given = named or call.args[0 if name[:1].isupper() else 1 :][:1]
        if given:
            trained = isinstance(given[0], ast.IfExp) and "training" in canonical(given[0].test)
            return canonical(given[0].body if trained else given[0])  # type: ignore[attr-defined]
    return ""


RATES = ("p", "rate", "prob", "drop_prob", "dropout_p")


def own_text(statement: Statement, rule: Feature) -> str:
    """Return a statement's text, of a call that only hands a feature on the arguments that do.

    `Block(dim, gate_init, rope_dims)` with one more argument is the same gate as before.
    """
    if rule.name is None:
        return statement.text
    taken = taken_with(statement, rule.name)
    if taken and not (rule.text and rule.text.search(statement.text)):
        return taken
    given = [
        (argument, f"{key}={canonical(argument)}" if key else canonical(argument))
        for call in statement.calls
        if len(call.args) + len(call.keywords) > 1 and callee(call)[:1].isupper()
        for key, argument in (*((None, a) for a in call.args),
                              *((k.arg, k.value) for k in call.keywords))
        if not isinstance(argument, ast.Call | ast.Starred)
    ]  # fmt: skip
    own = [t for a, t in given if any(rule.name.search(name) for name in node_names(a))]
    rest = reduce(lambda text, piece: text.replace(piece, ""), own, statement.text)
    if not own or (rule.text and rule.text.search(rest)):
        return statement.text
    return statement.text if any(map(rule.name.search, NAME.findall(rest))) else ",".join(own)


NAME = re.compile(r"[A-Za-z_]\w*")


def taken_with(statement: Statement, name: re.Pattern[str]) -> str:
    """Return a feature's names where a statement only takes or hands them on with others.

    Of `x, aux, stats = block(x, mask)` the auxiliary loss is the second target, whatever is given;
    of `return x, aux, stats` it is the second of what is returned.
    """
    node = statement.node
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        own = [e for e in node.value.elts if any(map(name.search, node_names(e)))]
        return ",".join(map(canonical, own))
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
        return ""
    value = {*node_names(node.value)}
    if not isinstance(node.value, ast.Call) or any(map(name.search, value)):
        return ""
    return ",".join(t for t in map(canonical, node.targets[0].elts) if name.search(t))


def by_function(
    found: dict[tuple[str, bool], list[Place]], roles: Roles
) -> Iterator[tuple[str, bool, list[Place]]]:
    """Yield the places of each feature; in optimizers each update rule has its own."""
    for (knob, aside), places in found.items():
        parts: dict[str, list[Place]] = {}
        for place in places:
            scope = place[0].scope
            key = scope if roles.of(scope) is Role.OPTIMIZER else ""
            parts.setdefault(key, []).append(place)
        yield from ((knob, aside, part) for part in parts.values())


# A head only names what its body uses: another parameter is no change of the feature.
NO_CODE = (ast.Import, ast.ImportFrom, ast.Assert, ast.FunctionDef, ast.AsyncFunctionDef)


def feature_setting(names: Names, knob: str, places: list[Place], whole: bool) -> Setting:
    """Build the setting of a feature from the statements that make it."""
    statement, value = next(((s, v) for s, v, _ in places if v), (places[0][0], ""))
    shown, folded = resolved(names, value, statement)
    site = Site(f"{statement.scope} > {knob}".removeprefix(" > "), statement.scope,
                statement.span, Rank.IDIOM)  # fmt: skip
    setting = make_value(knob, shown or ON, site)
    spans = tuple(place.span for place, _, _ in places)
    texts = frozenset(text for _, _, text in places)  # said twice it is the same feature
    token = "\n".join(sorted(texts)) if whole else f"{folded!r}"
    apart = {v for place, v, _ in places if v and CLIPS.search(place.text)}
    return replace(
        setting,
        layered=len(apart) > 1,
        folded=setting.folded if isinstance(folded, Unfoldable) else folded,
        token=token,
        literal=not whole,
        exact=whole,
        parts=texts if whole else frozenset(),
        covers=spans,
    )


CLIPS = re.compile(r"clip_grad_\w+_\(")  # several with limits of their own split one limit
WORD = re.compile(r"[A-Za-z_]\w*$")


def resolved(names: Names, value: str, statement: Statement) -> tuple[str, Value | Unfoldable]:
    """Return the literal behind a value that is a name, and what it folds to."""
    node = parse_expression(value) if value and not WORD.match(value) else None
    if WORD.match(value):
        node = ast.Name(id=value)
    if node is None:
        return value, value or UNFOLDABLE
    folded = names.value(node, statement.scope)
    if isinstance(folded, Unfoldable):
        bound = names.definition(node, statement.scope) if isinstance(node, ast.Name) else None
        return (shown_definition(bound[0], statement.scope) or value) if bound else value, value
    if isinstance(fold(node), Unfoldable) and not isinstance(folded, tuple):
        return str(folded), folded
    return value, folded


def shown_definition(node: ast.expr, scope: str) -> str:
    """Return what a name stands for: the file of a path, else the expression of a local."""
    if isinstance(node, ast.IfExp) and "training" in canonical(node.test):
        return ast.unparse(node.body)  # what it is as long as the model is trained
    texts = [part.value for part in under(node) if isinstance(part, ast.Constant)]
    files = [text for text in texts if isinstance(text, str) and FILE.search(text)]
    return files[-1] if files else ast.unparse(node) if scope else ""


FILE = re.compile(r"\.\w{1,12}$")
