"""Two versions as they are: differing settings, then the code that no setting accounts for."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from operator import attrgetter

from kg.changes_led import valued, without_carried, without_followers
from kg.changes_renamed import as_rewritten, from_shared, of_rezero, of_tables, one_position
from kg.changes_settings import NUMBER, Difference, differences, to_change
from kg.changes_settle import settle, without_sorted
from kg.changes_tidy import (
    BETA,
    is_loose,
    is_port,
    is_structural,
    lines_in,
    lines_of,
    of_port,
    one_sided,
    path_of,
    port_change,
    tidy,
)
from kg.config import Analysis, analysis
from kg.config_names import callee
from kg.fold import number_of
from kg.knobs import component_of
from kg.late import late
from kg.logged import only_logs
from kg.model import Change, ChangeType, OptimizerScope
from kg.program import FORWARD, Program, Statement
from kg.settings import Setting
from kg.structure import Cluster, Homes, changed_statements, clusters, is_report
from kg.structure_knobs import NAMELESS, PORT, UNSPECIFIED, knob_of, structural_changes
from kg.structure_near import feature_near
from kg.structure_same import is_renaming, only_renames, says_the_same


def compare(before: str, after: str) -> list[Change]:
    """Return the changes between two versions as they are, without their history."""
    return list(nominal(before, after))


@lru_cache(maxsize=512)
def nominal(before: str, after: str) -> tuple[Change, ...]:
    """Compare two versions; the last few hundred answers are kept."""
    old, new = analysis(before), analysis(after)
    if old is None or new is None or old.program.layout == new.program.layout:
        return ()
    found = list(differences(old.configuration.places, new.configuration.places))
    found = [d for d in found if not is_restated(d, old, new)]
    groups = clusters(old.program, new.program, *changed_statements(old.program, new.program))
    where = Homes(groups)
    found = [d for d in found if not is_respelt(d, where)]
    found = without_carried(found, where, old, new)
    explained = {id(g) for g in where.of(*lines_of([d for d in found if not is_loose(d)]))}
    found = [of_rezero(from_shared(difference, old), old, new) for difference in found]
    found = [of_tables(difference, old, new) for difference in found]
    read = [difference for difference in found if not is_loose(difference)]
    found = [valued(one, where) for one in tidy(without_followers(found, where))]
    known = [difference for difference in found if not is_loose(difference)]
    loose = [difference for difference in found if is_loose(difference)]
    open_groups = [group for group in groups if id(group) not in explained]
    named = [(knob_of(group, old.roles, new.roles), group) for group in open_groups]
    respelt = same_idioms(old.configuration.places, new.configuration.places)
    named = [
        (knob, g)
        for knob, g in named
        if not (belongs(knob, g, read) or within(g, *respelt) or says_the_same(g))
        and not restates(g, old, new)
        and not only_renames(g, old.program, new.program)
    ]
    named = [(beside(knob, g, old, new), g) for knob, g in named]
    if is_port(groups):
        return (*map(to_change, of_port(known)), port_change(groups))
    known = without_sorted(known, named, where)
    kept, named = settle(loose, named, where, known, new)
    records = [to_change(difference) for difference in [*known, *kept]]
    bare = structural_changes(named, {r.knob for r in records}, old.scopes, new.scopes)
    records += (as_rewritten(change, old, new) for change in bare)
    if not records:
        records.append(without_effect(groups, old.program, new.program))
    return tuple(one_position(records))


def is_restated(difference: Difference, old: Analysis, new: Analysis) -> bool:
    """Tell whether a shared beta is only said by each group for itself, or the reverse."""
    side = difference.new or difference.old
    shared = re.match(r"optimizer\.adam_beta(\d)$", difference.knob)
    own = re.match(r"optimizer\.(?!muon|adam_)\w+_beta(\d)$", difference.knob)
    if own is not None and side is not None and difference.old is None:
        common = old.configuration.settings.get(f"optimizer.adam_beta{own.group(1)}")
        return common is not None and common.folded == side.folded
    if shared is None or side is None or not one_sided(difference):
        return False
    places = (old if difference.old is None else new).configuration.places
    groups = [p for p in places if BETA.match(p.knob) and p.knob.endswith(shared.group(1))]
    return bool(groups) and any(p.folded == side.folded for p in groups)


def is_respelt(difference: Difference, where: Homes) -> bool:
    """Tell whether a feature is only written otherwise: an index gets a name, or loses it."""
    old, new = difference.old, difference.new
    if old is None or new is None or old.value != new.value:
        return False
    if not (old.exact and old.parts and new.parts):
        return False
    homes = where.of(*lines_of([difference]))
    return bool(homes) and all(map(says_the_same, homes))


def beside(knob: str, group: Cluster, old: Analysis, new: Analysis) -> str:
    """Return the feature next to which nameless code was edited, else the name it has."""
    if (knob in NAMELESS and knob != "init.scheme") or knob == UNSPECIFIED:
        near = feature_near(group, old, new)
        if component_of(knob) == "optimizer" and component_of(near) in OF_MODEL:
            return knob  # what the loop does with gradients is no part of the model
        return near or knob
    return knob


OF_MODEL = frozenset(
    {"attention", "mlp", "embedding", "head", "norm", "residual", "position", "model_size"}
)


def same_idioms(old: tuple[Setting, ...], new: tuple[Setting, ...]) -> tuple[set[int], set[int]]:
    """Return the lines of activations that both versions have: `x.square()` is `x ** 2`."""
    before = [setting for setting in old if setting.knob == "mlp.activation"]
    after = [setting for setting in new if setting.knob == "mlp.activation"]
    if {setting.token for setting in before} != {setting.token for setting in after}:
        return set(), set()
    return lines_in(before), lines_in(after)


def restates(group: Cluster, old: Analysis, new: Analysis) -> bool:
    """Tell whether a group only writes numbers elsewhere: a literal becomes a field."""
    sides = ((group.removed, old.configuration.places), (group.added, new.configuration.places))
    knobs = {
        place.knob
        for statements, places in sides
        for place in places
        if not lines_in([place]).isdisjoint(statement.span[0] for statement in statements)
    }
    before, after = ([p for p in places if p.knob in knobs] for _, places in sides)
    values = {(place.knob, place.folded) for place in before}
    if not values or values != {(place.knob, place.folded) for place in after}:
        return False
    known = all(number_of(value) is not None for _, value in values)
    return (
        known and covers(lines_in(before), group.removed) and covers(lines_in(after), group.added)
    )


def covers(lines: set[int], statements: list[Statement]) -> bool:
    """Tell whether statements stand on nothing but some lines."""
    return all(statement.span[0] in lines for statement in statements)


def within(group: Cluster, old_lines: set[int], new_lines: set[int]) -> bool:
    """Tell whether a group rewrites some lines without changing what they say."""
    if not group.removed or not group.added or numbers(group.removed) != numbers(group.added):
        return False
    return covers(old_lines, group.removed) and covers(new_lines, group.added)


def numbers(statements: list[Statement]) -> list[str]:
    """Return the numbers in some statements, without the 2 of a square."""
    return sorted({n for s in statements for n in NUMBER.findall(s.text)} - {"2", "2.0"})


def belongs(knob: str, group: Cluster, known: list[Difference]) -> bool:
    """Tell whether nameless code is part of a known structural edit: same function, or its set-up.

    A new module changes the constructor and the forward pass of the class that holds it.
    """
    if passes_argument(group, known):
        return True
    if knob == "loss.function" and any(d.knob.startswith("loss.") for d in known):
        return True
    if knob == "position.encoding" and any(d.knob.startswith("position.") for d in known):
        return True
    if knob == "optimizer.update" and any(DECAYS.match(d.knob) and one_sided(d) for d in known):
        return all(DECAY.intersection(statement.names) for statement in group.statements())
    if knob == "optimizer.loop" and any(" > group " in path_of(d) for d in known):
        return True  # what the loop makes of a group's new entry
    if knob == PORT and any(difference.knob == "attention.backend" for difference in known):
        return all(loads_kernel(statement) for statement in group.statements())
    scopes = {statement.scope for statement in group.statements()}
    if "" in scopes or knob == PORT:
        return False
    homes: set[str] = set()
    for difference in known:
        if not is_structural(difference) and component_of(difference.knob) != component_of(knob):
            continue
        for place in (*difference.places, *difference.new_places):
            owner = place.scope.rpartition(".")[0]
            homes |= {place.scope, f"{owner}.__init__"}
            if component_of(difference.knob) in BRANCHES:
                homes |= {f"{owner}.{name}" for name in FORWARD}
    return scopes <= homes


DECAYS = late(r"regularization\.weight_decay\.")
DECAY = frozenset({"wd", "weight_decay", "decay", "muon_wd"})  # what an update calls it


def loads_kernel(statement: Statement) -> bool:
    """Tell whether a statement only fetches an attention kernel, or says which one it is."""
    if isinstance(statement.node, ast.Try):
        return True  # what is tried, its statements say
    if is_report(statement) or "HF_HUB" in statement.text:
        return True
    return any(KERNEL.search(name) for name in statement.names)


KERNEL = late(r"^(fa\d|get_kernel|kernels|repo|cap)$|flash|fa3|flex_?att|sdpa", re.I)


def passes_argument(group: Cluster, known: list[Difference]) -> bool:
    """Tell whether a group only gives a function another argument, for a change in its body."""
    heads: set[str] = set()
    for statement in group.statements():
        if isinstance(statement.node, ast.FunctionDef):
            heads.add(f"{statement.scope}.{statement.node.name}".lstrip("."))
    called = {head.rpartition(".")[0].rpartition(".")[2] for head in heads if "__init__" in head}
    called |= {head.rpartition(".")[2] for head in heads}
    changed = {p.scope for d in known for p in (*d.places, *d.new_places)}
    return bool(heads & changed) and all(
        isinstance(statement.node, ast.FunctionDef) or called & statement.names
        for statement in group.statements()
    )


# Components whose class is small: its constructor and forward pass belong together.
BRANCHES = frozenset({"attention", "mlp", "norm", "residual", "regularization"})


def without_effect(groups: list[Cluster], old: Program, new: Program) -> Change:
    """Return the record of an edit that only moves, renames or reports."""
    respelt, same = [group for group in groups if says_the_same(group)], is_renaming
    removed, added = (
        [s for g in groups for s in side(g) if g not in respelt or (prints(s) and not same(g))]
        for side in (attrgetter("removed"), attrgetter("added"))
    )
    reports = all(only_logs(s, new) for s in added) and all(only_logs(s, old) for s in removed)
    knob, kind = "other.refactor", ChangeType.NO_EFFECT
    if reports and any(prints(s) for s in (*added, *removed)):
        knob, kind = "evaluation.logging", ChangeType.REPLACE
        if not (added and removed):
            kind = ChangeType.ADD if added else ChangeType.REMOVE
    return Change(
        knob=knob,
        component=component_of(knob),
        change_type=kind,
        optimizer_scope=OptimizerScope.NONE,
        old=None,
        new=None,
        path=next((s.scope for s in (*added, *removed)), ""),
    )


REPORTING = frozenset({"print", "print0", "log", "info", "dump", "write", "writelines", "writerow"})


def prints(statement: Statement) -> bool:
    """Tell whether a statement writes to the log."""
    return any(callee(call) in REPORTING for call in statement.calls)
