"""Which statements speak for a feature: not by another module's name, nor in a parameter group."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kg.config_names import assignments
from kg.knobs import component_of
from kg.program import Statement
from kg.roles import Role, Roles
from kg.settings import Setting

if TYPE_CHECKING:
    from kg.features import Feature

MADE: Final = re.compile(r"^self\.\w+=(?:torch\.)?nn\.Conv\dd\(")
CONVOLUTION: Final = re.compile(r"short_conv$")
OF_GROUPS: Final = frozenset({"optimizer", "regularization", "schedule"})


def owners(statements: Iterable[Statement], roles: Roles) -> dict[str, str]:
    """Return what the attributes hold that other features' names may fit.

    `self.k_mix = nn.Conv1d(...)` mixes tokens, not queries and keys; `attn_gate`, made within
    attention, gates its heads and scales no branch.
    """
    found: dict[str, set[str]] = {}
    for statement in statements:
        if statement.text.startswith("self."):
            role = roles.of(statement.scope)
            kind = "conv" if MADE.match(statement.text) else "in" if role in INNER else ""
            for target, _ in assignments(statement.node):
                if isinstance(target, ast.Attribute):
                    found.setdefault(target.attr, set()).add(kind)
    return {name: min(kinds) for name, kinds in found.items() if len(kinds) == 1 and kinds != {""}}


INNER: Final = frozenset({Role.ATTENTION, Role.MLP})


def unclaimed(
    matched: tuple[tuple[Feature, str], ...], statement: Statement, own: dict[str, str]
) -> tuple[tuple[Feature, str], ...]:
    """Return the rules that a statement matches, but for those that know a convolution by name."""
    if not own.keys() & statement.names:
        return matched
    return tuple((rule, value) for rule, value in matched if may_take(rule, statement, own))


def may_take(rule: Feature, statement: Statement, own: dict[str, str]) -> bool:
    """Tell whether a rule knows a statement by more than the name of another module."""
    if rule.name is None or CONVOLUTION.search(rule.knob):
        return True
    kinds = ("conv", "in") if component_of(rule.knob) == "residual" else ("conv",)
    others = {name for name in statement.names if own.get(name) in kinds}
    written = rule.text is not None and rule.text.search(statement.text) is not None
    return written or any(map(rule.name.search, statement.names - others))


def retold(setting: Setting, places: Sequence[tuple[Statement, str, str]], roles: Roles) -> Setting:
    """Compare a feature by what it is, not by where its weights are put and what they start from.

    Another group, rate or initial value for a router is no other router.
    """
    if not setting.exact or component_of(setting.knob) in OF_GROUPS:
        return setting
    around = (Role.SETUP, Role.INIT)
    outside = [text for s, _, text in places if roles.of(s.scope) not in around]
    texts = {*outside}
    if not texts or len(outside) == len(places):
        return setting
    return replace(setting, token="\n".join(sorted(texts)), parts=frozenset(texts))
