"""Two versions as they are: differing settings, then the code that no setting accounts for."""

from __future__ import annotations

from functools import lru_cache

from kg.changes_settings import Difference, differences, to_change
from kg.config import Analysis, analysis
from kg.knobs import component_of, is_unknown
from kg.model import Change, ChangeType, OptimizerScope
from kg.settings import Setting
from kg.structure import Cluster, changed_statements, clusters, span_lines
from kg.structure_knobs import UNSPECIFIED, knob_of, structural_changes


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
    known = [difference for difference in found if not is_loose(difference)]
    loose = [difference for difference in found if is_loose(difference)]
    groups = clusters(old.program, new.program, *changed_statements(old.program, new.program))
    open_groups = [g for g in groups if not g.touches(*lines_of(known))]
    named = [(knob_of(group, old.roles, new.roles), group) for group in open_groups]
    kept, named = settle(loose, named, groups)
    records = [to_change(difference) for difference in tidy([*known, *kept])]
    records += structural_changes(named, {r.knob for r in records}, old.scopes, new.scopes)
    if not records:
        records.append(refactor(old, new, groups))
    return tuple(records)


def is_loose(difference: Difference) -> bool:
    """Tell whether a setting is no canonical knob: it belongs to the edit it is part of."""
    side = difference.new or difference.old
    return is_unknown(difference.knob) or (side is not None and side.secondary)


def lines_of(found: list[Difference]) -> tuple[set[int], set[int]]:
    """Return the lines of both versions that differing settings account for."""
    return (
        lines_in(place for difference in found for place in difference.places),
        lines_in(place for difference in found for place in difference.new_places),
    )


def lines_in(places: object) -> set[int]:
    """Return the lines of some settings."""
    assert not isinstance(places, Setting)
    return {
        line
        for place in places  # type: ignore[attr-defined]
        for span in place.lines()
        for line in span_lines(span)
    }


def settle(
    loose: list[Difference], named: list[tuple[str, Cluster]], groups: list[Cluster]
) -> tuple[list[Difference], list[tuple[str, Cluster]]]:
    """Decide between an unknown setting and the edit it lies in: the one with a component stays.

    A new constant that a new module reads is part of the module; a constant that stands for
    itself is a knob of its own.
    """
    kept: list[Difference] = []
    settled: set[int] = set()
    open_ids = {id(group): knob for knob, group in named}
    for difference in loose:
        lines = lines_of([difference])
        homes = [group for group in groups if group.touches(*lines)]
        if homes and all(open_ids.get(id(home), "") != UNSPECIFIED for home in homes):
            continue
        kept.append(difference)
        settled.update(id(home) for home in homes)
    return kept, [(knob, group) for knob, group in named if id(group) not in settled]


def tidy(found: list[Difference]) -> list[Difference]:
    """Merge what one edit did to several knobs at once: one range drawn for all matrices."""
    return found


def refactor(old: Analysis, new: Analysis, groups: list[Cluster]) -> Change:
    """Return the record of an edit without effect: moved, renamed or only reporting code."""
    del old, new
    statements = [s for group in groups for s in group.statements()]
    knob = "other.refactor"
    return Change(
        knob=knob,
        component=component_of(knob),
        change_type=ChangeType.NO_EFFECT,
        optimizer_scope=OptimizerScope.NONE,
        old=None,
        new=None,
        path=statements[0].scope if statements else "",
    )
