"""Unknown settings that lie in an edit of code: which of the two stands for the idea."""

from __future__ import annotations

import ast
from dataclasses import replace

from kg.changes_led import brings_weights, sorts_parameters
from kg.changes_settings import Difference
from kg.changes_tidy import is_structural, lines_of, one_sided, path_of
from kg.config import Analysis
from kg.knobs import component_of
from kg.structure import Cluster, Homes
from kg.structure_knobs import FOLLOWING, UNSPECIFIED


def without_sorted(
    known: list[Difference], named: list[tuple[str, Cluster]], where: Homes
) -> list[Difference]:
    """Drop what groups say of parameters that an edit without a name of its own brings.

    They are told from the matrices by their dimensions: `[p for p in ... if p.ndim == 1]`.
    """
    if not any(brings_weights([group]) for knob, group in named if knob not in FOLLOWING):
        return known
    return [
        d
        for d in known
        if " > group " not in path_of(d) or not sorts_parameters(where.of(*lines_of([d])))
    ]


def settle(
    loose: list[Difference],
    named: list[tuple[str, Cluster]],
    where: Homes,
    known: list[Difference],
    new: Analysis,
) -> tuple[list[Difference], list[tuple[str, Cluster]]]:
    """Decide between an unknown setting and the edit it lies in: the one with a component stays.

    A new constant that a new module reads is part of the module; a constant that stands for
    itself is a knob of its own.
    """
    new_parts = [d for d in known if one_sided(d) and is_structural(d)]
    brought = any(brings_weights(where.of(*lines_of([d]))) for d in new_parts)
    following = {id(group) for knob, group in named if not knob or knob in FOLLOWING}
    every = {id(group): group for groups in where.places.values() for group in groups}
    brought = brought or any(
        brings_weights([group]) for key, group in every.items() if key not in following
    )
    kept: list[Difference] = []
    loose = without_renamed(loose)
    settled: set[int] = set()
    open_ids = {id(group): knob for knob, group in named}
    for difference in loose:
        lines = lines_of([difference])
        homes = where.of(*lines)
        if homes and {open_ids.get(id(home)) for home in homes} == {"optimizer.groups"}:
            if difference.knob.endswith("_lr") and not brought:  # a group's rate stands for it
                kept.append(difference)
                settled.update(id(home) for home in homes)
            continue
        moved = not one_sided(difference)
        bare = (UNSPECIFIED, "") if moved else (UNSPECIFIED,)  # "": code that names no knob
        if homes and all(open_ids.get(id(home)) not in bare for home in homes):
            continue
        own = homes and moved and only_heads(homes)
        kept.append(of_its_class(difference, new) if own else difference)
        settled.update(id(home) for home in homes)
    grouped = FOLLOWING if brought else frozenset()
    return kept, [(k, g) for k, g in named if id(g) not in settled and k not in grouped]


def without_renamed(loose: list[Difference]) -> list[Difference]:
    """Drop unknown settings that only moved to a class or function of another name."""
    gone = {moved_key(d): d for d in loose if d.new is None}
    come = {moved_key(d): d for d in loose if d.old is None}
    same = {id(side[key]) for key in gone.keys() & come.keys() for side in (gone, come)}
    return [d for d in loose if id(d) not in same]


def moved_key(difference: Difference) -> tuple[str, str]:
    """Return where a setting is within its class or function, and its value."""
    side = difference.new or difference.old
    owner, dot, rest = path_of(difference).partition(".")
    return (rest if dot else owner), side.token if side is not None else ""


def only_heads(groups: list[Cluster]) -> bool:
    """Tell whether edits only rewrite heads of functions: a default that differs."""
    statements = [s for group in groups for s in group.statements()]
    return all(isinstance(statement.node, ast.FunctionDef) for statement in statements)


def of_its_class(difference: Difference, new: Analysis) -> Difference:
    """Name an unknown default after the one feature that its class is: `Experts(n=4)`."""
    side = difference.new or difference.old
    owner = side.scope.partition(".")[0] or path_of(difference).partition(".")[0] if side else ""
    lines = {s.span for s in new.program.statements if s.scope.partition(".")[0] == owner}
    knobs = {p.knob for p in new.configuration.places if p.exact and lines & set(p.lines())}
    if difference.old is None or difference.new is None or len(knobs) != 1:
        return difference
    (knob,) = knobs
    component = component_of(knob)
    return replace(
        difference,
        old=replace(difference.old, knob=knob, component=component),
        new=replace(difference.new, knob=knob, component=component),
    )
