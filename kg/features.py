"""The rules of features.toml: which statements and names belong to which feature of a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from kg.late import late
from kg.nodes import SEEN
from kg.program import Program, Statement, Unit
from kg.roles import Role


@dataclass(frozen=True, slots=True)
class Feature:
    """One rule of features.toml."""

    knob: str
    has: tuple[str, ...]
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
    """Make one rule."""

    def pattern(key: str) -> re.Pattern[str] | None:
        return late(entry[key], re.I) if key in entry else None

    return Feature(
        knob=entry["knob"],
        has=tuple(entry["has"].split("|")),
        text=pattern("text"),
        name=pattern("name"),
        excluded=pattern("not"),
        value=pattern("value"),
        argument=pattern("argument"),
        aside=pattern("aside"),
        roles=frozenset(Role(role) for role in entry.get("roles", ())),
        whole=entry.get("whole", False),
    )


@cache
def hints() -> dict[str, list[tuple[str, int]]]:
    """Return the texts that rules have, each with its rule's number, by the longest word in it."""
    found: dict[str, list[tuple[str, int]]] = {}
    for number, rule in enumerate(features()):
        for text in rule.has:
            found.setdefault(max(WORD.findall(text), key=len), []).append((text, number))
    return found


WORD = re.compile(r"[a-z0-9_]+")


def hinted(text: str) -> tuple[int, ...]:
    """Return the rules that may match something in a text.

    Its different words are looked through first: they are a third of a text.
    """
    if not text.isascii():  # the Kelvin sign is a k to a pattern
        return tuple(range(len(features())))
    small = text.lower()
    words = "\n".join(set(WORD.findall(small)))
    some = (pair for word, pairs in hints().items() if word in words for pair in pairs)
    return tuple(sorted({number for hint, number in some if hint in small}))


@lru_cache(maxsize=1 << 14)
def knob_of_name(name: str) -> str | None:
    """Return the knob of a constant that is named after a feature: `HOMEO_RATE`, `MTP_WEIGHT`."""
    for rule in (features()[number] for number in hinted(name)):
        if names_it(rule, name) and (not rule.roles or Role.SCRIPT in rule.roles):
            return rule.knob
    return None


def names_it(rule: Feature, name: str) -> bool:
    """Tell whether an identifier is one of a rule's."""
    return rule.name is not None and allowed(rule, rule.name.search(name)) is not None


def allowed(rule: Feature, match: re.Match[str] | None) -> re.Match[str] | None:
    """Return a match unless the rule excludes what it found."""
    excluded = match and rule.excluded and rule.excluded.search(match.group(0))
    return None if excluded else match


def matching(statement: Statement, role: Role) -> tuple[tuple[Feature, str], ...]:
    """Return the rules that a statement matches in its role, each with its value."""
    rules = hinted("\n".join((statement.text, *statement.names)))
    return matched(statement.text, statement.names, role, rules)


@lru_cache(maxsize=SEEN)
def matched(
    text: str, names: frozenset[str], role: Role, rules: tuple[int, ...]
) -> tuple[tuple[Feature, str], ...]:
    """Return which of some rules a text with some names in it matches in a role."""
    found = []
    for rule in (features()[number] for number in rules):
        if rule.roles and role not in rule.roles:
            continue
        match = allowed(rule, rule.text.search(text)) if rule.text else None
        if match or any(names_it(rule, name) for name in names):
            found.append((rule, value_of(rule, match, text)))
    return tuple(found)


def unit_rules(unit: Unit) -> tuple[int, ...]:
    """Return the rules that may match a statement of a unit: none, of most."""
    if unit.hinted is None:
        unit.hinted = hinted("\n".join((*(s.text for s in unit.statements), *unit.names)))
    return unit.hinted


def hinted_statements(program: Program) -> Iterator[tuple[Statement, tuple[int, ...]]]:
    """Yield the statements that some rules may match, with those."""
    for unit, statements in program.by_unit():
        rules = unit_rules(unit)
        if rules:
            yield from ((statement, rules) for statement in statements)


def value_of(rule: Feature, match: re.Match[str] | None, text: str) -> str:
    """Return the value a match gives, "" if it only tells that the feature is there."""
    if rule.value is not None:
        match = rule.value.search(text)
    return first_group(match) if match else ""


def first_group(match: re.Match[str]) -> str:
    """Return the first named group that took part in a match."""
    return next((v for k, v in match.groupdict().items() if k != "name" and v), "")
