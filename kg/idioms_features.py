"""Features that a script has or has not: clipping, dropout, experts, tying, checkpointing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache, reduce
from pathlib import Path
from typing import Any, TypeAlias

from kg.canonical import canonical
from kg.config_names import Names, callee
from kg.fold import UNFOLDABLE, Unfoldable, Value, fold, parse_expression
from kg.nodes import SEEN, under
from kg.overwrites import node_names
from kg.program import Program, Statement
from kg.roles import Role, Roles
from kg.settings import Rank, Setting, Site, make_value

ON = "True"
Place: TypeAlias = tuple[Statement, str, str]  # the value it gives, the text that is compared


@dataclass(frozen=True, slots=True)
class Feature:
    """One rule of features.toml."""

    knob: str
    text: re.Pattern[str] | None
    name: re.Pattern[str] | None
    excluded: re.Pattern[str] | None
    value: re.Pattern[str] | None
    argument: re.Pattern[str] | None
    aside: re.Pattern[str] | None
    roles: frozenset[Role]
    whole: bool


@cache
def features() -> tuple[Feature, ...]:
    """Read features.toml once."""
    import tomllib

    text = Path(__file__).with_name("features.toml").read_text(encoding="utf-8")
    return tuple(feature(entry) for entry in tomllib.loads(text)["feature"])


@cache
def feature_knobs() -> frozenset[str]:
    """Return the knobs of the features that are known by all their code."""
    return frozenset(rule.knob for rule in features() if rule.whole)


# Names that say nothing about which feature a statement belongs to.
COMMON_NAMES = frozenset(
    {"self", "x", "y", "loss", "p", "logits", "model", "torch", "F", "nn", "step", "progress",
     "optimizer", "group", "parameters", "config", "training", "mean", "size", "grad", "targets",
     "q", "k", "v", "B", "T", "C", "weight", "norm", "idx", "i", "n", "block", "append", "sum",
     "dim", "view", "float", "range", "len", "detach", "data"}
)  # fmt: skip


def feature(entry: dict[str, Any]) -> Feature:
    """Compile one rule."""

    def pattern(key: str) -> re.Pattern[str] | None:
        return re.compile(entry[key], re.I) if key in entry else None

    return Feature(
        knob=entry["knob"],
        text=pattern("text"),
        name=pattern("name"),
        excluded=pattern("not"),
        value=pattern("value"),
        argument=pattern("argument"),
        aside=pattern("aside"),
        roles=frozenset(Role(role) for role in entry.get("roles", ())),
        whole=entry.get("whole", False),
    )


@lru_cache(maxsize=1 << 14)
def named(name: str) -> tuple[int, ...]:
    """Return the rules that an identifier matches; a history repeats the same few hundred."""
    return tuple(
        number
        for number, rule in enumerate(features())
        if rule.name
        and (match := rule.name.search(name))
        and not (rule.excluded and rule.excluded.search(match.group(0)))
    )


@lru_cache(maxsize=1 << 14)
def knob_of_name(name: str) -> str | None:
    """Return the knob of a constant that is named after a feature: `HOMEO_RATE`, `MTP_WEIGHT`."""
    for number in named(name):
        rule = features()[number]
        if not rule.roles or Role.SCRIPT in rule.roles:
            return rule.knob
    return None


@cache
def readable(role: Role) -> tuple[tuple[int, Feature, re.Pattern[str]], ...]:
    """Return the rules about the text of a role's statements: half of all, in a file's mean."""
    rules = enumerate(features())
    return tuple((n, r, r.text) for n, r in rules if r.text and (not r.roles or role in r.roles))


@lru_cache(maxsize=1 << 14)
def written(text: str, role: Role) -> tuple[tuple[int, str], ...]:
    """Return the rules that a statement's text matches in its role, each with its value."""
    found = []
    for number, rule, pattern in readable(role):
        match = pattern.search(text)
        if match and not (rule.excluded and rule.excluded.search(match.group(0))):
            found.append((number, value_of(rule, match, text)))
    return tuple(found)


def matching(statement: Statement, role: Role) -> tuple[tuple[Feature, str], ...]:
    """Return the rules that a statement matches in its role, each with its value."""
    return matched(statement.text, statement.names, role)


@lru_cache(maxsize=SEEN)
def matched(text: str, names: frozenset[str], role: Role) -> tuple[tuple[Feature, str], ...]:
    """Return the rules that a text with some names in it matches in a role."""
    rules = features()
    values = dict(written(text, role))
    for number in (number for name in sorted(names) for number in named(name)):
        if not rules[number].roles or role in rules[number].roles:
            values.setdefault(number, value_of(rules[number], None, text))
    return tuple((rules[number], value) for number, value in sorted(values.items()))


def feature_settings(program: Program, names: Names, roles: Roles) -> Iterator[Setting]:
    """Yield one setting for each feature the program has."""
    found: dict[tuple[str, bool], list[Place]] = {}  # by knob, those set aside apart
    whole: set[str] = set()
    ranked: set[str] = set()
    for statement in program.statements:
        role = roles.of(statement.scope)
        if role in (Role.CONFIG, Role.NORM) or isinstance(statement.node, NO_CODE):
            continue
        for rule, value in matching(statement, role):
            value = rate_given(statement, rule.argument) if rule.argument else value
            aside = bool(rule.aside and rule.aside.search(statement.text))
            place = (statement, value, own_text(statement, rule))
            found.setdefault((rule.knob, aside), []).append(place)
            if rule.whole:
                whole.add(rule.knob)
            if rule.aside:
                ranked.add(rule.knob)
    for knob, aside, places in by_function(found, roles):
        setting = feature_setting(names, knob, places, knob in whole)
        yield behind(setting, aside) if knob in ranked else setting


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


def value_of(rule: Feature, match: re.Match[str] | None, text: str) -> str:
    """Return the value a match gives, "" if it only tells that the feature is there."""
    if rule.value is not None:
        match = rule.value.search(text)
    return first_group(match) if match else ""


def first_group(match: re.Match[str]) -> str:
    """Return the first named group that took part in a match."""
    return next((v for k, v in match.groupdict().items() if k != "name" and v), "")


def feature_setting(names: Names, knob: str, places: list[Place], whole: bool) -> Setting:
    """Build the setting of a feature from the statements that make it."""
    statement, value = next(((s, v) for s, v, _ in places if v), (places[0][0], ""))
    shown, folded = resolved(names, value, statement)
    site = Site(f"{statement.scope} > {knob}".removeprefix(" > "), statement.scope,
                statement.span, Rank.IDIOM)  # fmt: skip
    setting = make_value(knob, shown or ON, site)
    spans = tuple(place.span for place, _, _ in places)
    token = "\n".join(sorted(text for _, _, text in places)) if whole else f"{folded!r}"
    apart = {v for place, v, _ in places if v and CLIPS.search(place.text)}
    return replace(
        setting,
        layered=len(apart) > 1,
        folded=setting.folded if isinstance(folded, Unfoldable) else folded,
        token=token,
        literal=not whole,
        exact=whole,
        parts=frozenset(text for _, _, text in places) if whole else frozenset(),
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
