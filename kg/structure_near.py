"""Edits beside a known feature: the threshold it reads, the test it runs under, its helper."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from kg.canonical import canonical
from kg.config import Analysis
from kg.config_names import assignments
from kg.features import COMMON_NAMES, feature_knobs
from kg.knobs import component_of
from kg.late import late
from kg.program import Program, Statement
from kg.roles import Role
from kg.structure import Cluster


def feature_near(cluster: Cluster, old: Analysis, new: Analysis) -> str:
    """Return the knob of the feature that a group of edited statements belongs to, "" if none.

    A statement belongs to a feature of its version if it sets what the feature's code reads (or
    the reverse), stands over it as a test or a loop, or is the body of a function it calls.
    """
    found: set[str] = set()
    for statements, analysis in ((cluster.removed, old), (cluster.added, new)):
        if statements:
            near = {
                place.knob
                for place in analysis.configuration.places
                if place.knob != "optimizer.cautious_mask"  # beside it is the rest of the update
                and (
                    updates(statements, old if statements is cluster.removed else new)
                    <= (component_of(place.knob) in OF_UPDATES)
                )
                and ((place.parts and place.knob in feature_knobs()) or place.knob == SAVED)
                and is_tied(statements, place.lines(), analysis.program)
            }
            found = near if not found else found & near
            if not found:
                return ""
    return min(found) if len(found) == 1 else ""


def updates(statements: list[Statement], analysis: Analysis) -> bool:
    """Tell whether all of some statements are of an optimizer: no feature of the model is near."""
    roles = {analysis.roles.of(statement.scope) for statement in statements}
    return roles <= {Role.OPTIMIZER, Role.SETUP}


OF_UPDATES: Final = frozenset({"optimizer", "regularization", "schedule"})


def is_tied(
    statements: list[Statement], spans: tuple[tuple[int, int], ...], program: Program
) -> bool:
    """Tell whether some statements are tied to the statements on some lines."""
    code = [s for s in program.statements if s.span in spans]
    return any(tied(statement, other, program) for statement in statements for other in code)


def tied(one: Statement, other: Statement, program: Program) -> bool:
    """Tell whether one statement belongs with another."""
    if any(parent is one.node for parent in other.parents[-2:]):
        return len(list(ast.walk(one.node))) < SMALL
    if any(parent is other.node for parent in one.parents[-2:]):
        return True
    if one.scope and one.scope.rpartition(".")[2] in other.names:
        return one.scope in program.functions and one.scope != other.scope
    shared = one.names & other.names
    if shared & ({*marks(one)} - COMMON_NAMES):
        return True
    if one.scope == other.scope and shared & ({*bound(one), *bound(other)} - CARRIERS):
        return True
    shared -= COMMON_NAMES | library_names(one)
    counts = program.mentions("")
    return any(counts[name] <= RARE for name in shared)


def library_names(statement: Statement) -> set[str]:
    """Return what a statement calls of the library: `torch.ones` in two places ties nothing."""
    return {
        call.func.attr
        for call in statement.calls
        if isinstance(call.func, ast.Attribute)
        and canonical(call.func).partition(".")[0] in ("torch", "nn", "F", "math")
    }


SAVED: Final = "evaluation.checkpoint_saving"
# What flows through all of a function: sharing it ties nothing.
CARRIERS: Final = frozenset(
    {"x", "y", "loss", "p", "logits", "h", "g", "q", "k", "v", "B", "T", "C", "out", "step",
     "progress", "dt", "t0", "t1", "cos", "sin", "group", "lrm", "train_loss", "model"}
)  # fmt: skip
RARE: Final = 3  # statements that mention a name, for it to tie two of them across functions
SMALL: Final = 200  # nodes under a test that is about one thing


def marks(statement: Statement) -> Iterator[str]:
    """Yield the attributes a statement sets on modules it goes through: `block.layer_idx = i`."""
    for target, _ in assignments(statement.node):
        if isinstance(target, ast.Attribute) and LAYER_MARK.match(target.attr):
            yield target.attr


LAYER_MARK: Final = late(r"(?:n_|num_)?layers?(?:_\w+)?$|depth\w*$")


def bound(statement: Statement) -> Iterator[str]:
    """Yield the local names a statement sets."""
    for target, _ in assignments(statement.node):
        if isinstance(target, ast.Name):
            yield target.id
