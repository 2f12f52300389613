"""A setting: one knob with its value and its place in one version of a target file."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names
from kg.fold import UNFOLDABLE, Unfoldable, Value, fold, number_of
from kg.given import default_given
from kg.knobs import component_of
from kg.model import OptimizerScope
from kg.nodes import SEEN, under
from kg.program import Program, Span


class Rank(IntEnum):
    """Which of several places speaks for a knob: the higher one."""

    DERIVED = 0  # computed from other settings: `model_dim = depth * ASPECT_RATIO`
    DEFAULT = 1  # a parameter default or a class field
    LOCAL = 2  # a literal inside a function
    ARGUMENT = 3  # a keyword of a call, an entry of a dict
    CONSTANT = 4  # a constant in the open
    IDIOM = 5  # read from the shape of the code


@dataclass(frozen=True, slots=True)
class Setting:
    """One knob, its value and where it stands.

    ``value`` is the literal source (`2**19`), ``folded`` what it comes to with every name
    resolved, `UNFOLDABLE` if that needs a run. ``effective`` is False where the value cannot
    act in this file, None where that depends on the hardware branch.
    """

    knob: str
    component: str
    value: str
    folded: Value | Unfoldable
    path: str  # `GPT.setup_optimizer > group value_embeds > weight_decay`
    span: Span  # first and last line, 1-based
    scope: str = ""  # the function or class it stands in, "" for the module
    optimizer_scope: OptimizerScope = OptimizerScope.NONE
    effective: bool | None = True
    overridden_at: int | None = None  # the line that makes it ineffective, if one does
    rank: Rank = Rank.LOCAL
    token: str = ""  # what is compared: canonical text
    literal: bool = False  # no name in it: the folded value alone is compared
    probe: tuple[float, ...] = ()  # values at three sizes of unknown names, for a direction
    layered: bool = False  # differs by layer, shape or group
    parts: frozenset[str] = frozenset()  # of a layout: more of them is `add`, fewer `remove`
    exact: bool = False  # compared by its token alone
    itemised: bool = False  # of parts, only those that differ are shown
    secondary: bool = False  # belongs to whatever introduced it: the group of a new module
    guarded: bool = False  # set under a test: whether it acts depends on that
    hidden: bool = False  # only repeats what another knob says, until it differs
    long: str = ""  # the whole expression, shown where the short values are the same
    covers: tuple[Span, ...] = field(default=())  # lines whose edits this setting accounts for

    @property
    def number(self) -> float | None:
        """Return the folded value as a number, None if it is none."""
        return number_of(self.folded)

    def lines(self) -> tuple[Span, ...]:
        """Return every span of lines whose edits this setting accounts for."""
        return (self.span, *self.covers)


# Words name idioms; only what looks like a number or a truth value is worth parsing.
VALUE: Final = re.compile(r"^-?[\d.(]|^(True|False)$")


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a program where a value stands."""

    path: str
    scope: str  # where names are resolved
    span: Span
    rank: Rank


LAYER_NAMES = frozenset({"i", "layer_idx", "layer_id", "layer", "idx", "shape", "block_idx", "l"})


def make_setting(program: Program, names: Names, knob: str, node: ast.expr, site: Site) -> Setting:
    """Build a setting from the expression that gives its value."""
    given = default_given(node)
    literal = is_literal(given)
    folded = fold(given) if literal else names.value(given, site.scope)
    return Setting(
        knob=knob,
        component=component_of(knob),
        value=shown_text(program, names, given, site.scope, folded),
        folded=folded,
        path=site.path,
        span=site.span,
        scope=site.scope,
        rank=site.rank,
        token=canonical(given),
        literal=literal,
        probe=() if number_of(folded) is not None else probe(names, given, site.scope),
        layered=not literal and mentions_layer(node, names, site.scope),
    )


def probe(names: Names, node: ast.expr, scope: str) -> tuple[float, ...]:
    """Return what to compare of an expression: its value at three sizes, or in either case."""
    bound = names.definition(node, scope) if isinstance(node, ast.Name) else None
    if bound is not None and isinstance(bound[0], ast.IfExp):
        node, scope = bound
    if not isinstance(node, ast.IfExp):
        return names.probe(node, scope)
    cases = [number_of(names.value(case, scope)) for case in (node.body, node.orelse)]
    if cases[0] is None or cases[1] is None:
        return ()
    return (cases[0], cases[1], cases[1])


def shown_text(
    program: Program, names: Names, node: ast.expr, scope: str, folded: Value | Unfoldable
) -> str:
    """Return the source to show: of a computed value, with the numbers behind its constants."""
    shown = shown_node(names, node, scope, folded)
    plain = with_constants(names, shown, scope) if shown is node else shown
    return (program.source(shown) if plain is shown else "") or ast.unparse(plain)


class Constants(ast.NodeTransformer):
    """Puts the number behind an upper-case name in its place."""

    def __init__(self, names: Names, scope: str) -> None:
        self.names, self.scope = names, scope

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a constant by its literal."""
        bound = self.names.definition(node, self.scope) if node.id.isupper() else None
        return bound[0] if bound is not None and is_plain_number(bound[0]) else node


def with_constants(names: Names, node: ast.expr, scope: str) -> ast.expr:
    """Return `long_window // 8` for `long_window // DIVISOR`; the node itself without constants."""
    if isinstance(node, ast.Name | ast.Constant) or not any(
        isinstance(inner, ast.Name) and inner.id.isupper() for inner in under(node)
    ):
        return node
    whole: ast.expr = Constants(names, scope).visit(copy.deepcopy(node))
    return whole


def shown_node(names: Names, node: ast.expr, scope: str, folded: Value | Unfoldable) -> ast.expr:
    """Return the node whose source is shown: for a name, the literal behind it if there is one."""
    if isinstance(folded, Unfoldable):
        return node
    seen = node
    for _ in range(8):
        if not isinstance(seen, ast.Name | ast.Attribute):
            return seen if is_literal(seen) else node
        bound = names.definition(seen, scope)
        if bound is None:
            return node
        seen, scope = bound
    return node


def make_value(
    knob: str, value: str, site: Site, *, token: str | None = None, literal: bool = True
) -> Setting:
    """Build a setting from a word that names what the code does (`relu^2`, `pre+post`)."""
    folded = fold_text(value) if literal and VALUE.match(value) else UNFOLDABLE
    return Setting(
        knob=knob,
        component=component_of(knob),
        value=value,
        folded=value if isinstance(folded, Unfoldable) else folded,
        path=site.path,
        span=site.span,
        scope=site.scope,
        rank=site.rank,
        token=value if token is None else token,
        literal=token is None,
        exact=token is not None,
    )


@lru_cache(maxsize=SEEN)
def fold_text(text: str) -> Value | Unfoldable:
    """Fold a short text: a history shows the same few hundred."""
    return fold(text)


@lru_cache(maxsize=SEEN)
def is_literal(node: ast.expr) -> bool:
    """Tell whether an expression mentions no names but those of folding functions."""
    return not isinstance(fold(node), Unfoldable)


def mentions_layer(node: ast.expr, names: Names | None = None, scope: str = "") -> bool:
    """Tell whether an expression depends on the index of a layer or the shape of a matrix."""
    found = {inner.id for inner in under(node) if isinstance(inner, ast.Name)}
    if names is not None and scope:
        found |= names.roots(node, scope)
        if any(names.is_looped(name, scope) for name in found):
            return True
    return bool(found & LAYER_NAMES)


def coefficient(node: ast.expr) -> tuple[ast.expr | None, tuple[str, ...]]:
    """Split a product into its one plain number and the texts of its other factors.

    `0.8 * 3**0.5 * n` gives (0.8, ("(3**0.5)", "n")); the number is None where there is none.
    A plain divisor is part of the number (`s / 2` has 1 / 2), other divisors are factors `1/x`.
    """
    numbers: list[ast.expr] = []
    divisors: list[ast.expr] = []
    others: list[str] = []
    pending: list[tuple[ast.expr, bool]] = [(node, False)]
    while pending:
        factor, inverse = pending.pop()
        if isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Mult):
            pending += [(factor.right, inverse), (factor.left, inverse)]
        elif isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Div):
            pending += [(factor.right, not inverse), (factor.left, inverse)]
        elif is_plain_number(factor):
            (divisors if inverse else numbers).append(factor)
        else:
            others.append(f"1/{canonical(factor)}" if inverse else canonical(factor))
    others += [canonical(number) for number in numbers[1:]]
    others += [f"1/{canonical(number)}" for number in divisors[1:]]
    number = numbers[0] if numbers else None
    if divisors:
        number = ast.BinOp(number or ast.Constant(value=1), ast.Div(), divisors[0])
    return number, tuple(sorted(others))


def is_plain_number(node: ast.expr) -> bool:
    """Tell whether a node is a number as written, a sign allowed."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and number_of(node.value) is not None


RATE: Final = re.compile(r"(?:lr|rate)$", re.I)


def base_of(names: Names, value: ast.expr, scope: str) -> str:
    """Return the one number behind the names a rate is made from, "" if there are several.

    `value_lr * scale` in place of `embedding_lr * scale` is as much more as VALUE_LR is.
    """
    found = {
        number
        for node in ast.walk(value)
        if isinstance(node, ast.Name)
        and RATE.search(node.id)
        and (number := number_of(names.value(node, scope))) is not None
    }
    return repr(found.pop()) if len(found) == 1 else ""
