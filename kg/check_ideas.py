"""What a proposal changes: read from its source, or from its message where there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kg.amount import ROUNDED, number
from kg.check_model import Idea, shown
from kg.check_values import EXACT, same_value
from kg.config import configuration
from kg.edit import Edit, edits
from kg.knobs import component_of
from kg.model import Change, ChangeType, OptimizerScope
from kg.settings import Setting
from kg.vocab import Value, value_of

Config = Mapping[str, Value]
NAME: Final = re.compile(r"(?<![\w.])[A-Za-z_]")  # not the e of 1e-10


@dataclass(frozen=True, slots=True)
class Proposal:
    """The edits of a proposal and what could not be read of it."""

    ideas: tuple[Idea, ...]
    notes: tuple[str, ...] = ()
    from_text: bool = False

    @property
    def tolerance(self) -> float:
        """Return by how much two values may differ and still be one."""
        return ROUNDED if self.from_text else EXACT


def settings_of(source: str | None) -> dict[str, Value]:
    """Return the effective configuration of a source, nothing if there is none to read."""
    if source is None:
        return {}
    found = configuration(source).settings.values()
    return {s.knob: value_of(s.knob, s.folded, s.value) for s in found}


def from_sources(source: str, accepted: str, message: str) -> Proposal:
    """Return what an edited file changes against the accepted one."""
    from kg.changes import changes

    found = changes(accepted, source, message=message)
    notes = [
        f"{change.knob}: the edit cannot act, line {change.overridden_at} overrides it"
        if change.overridden_at
        else f"{change.knob}: the edit cannot act in this file"
        for change in found
        if change.effective is False
    ]
    if any(change.change_type is ChangeType.UNPARSED for change in found):
        notes.append("the file does not parse: nothing to compare but the whole text")
    ideas = dict.fromkeys(idea_of(edit) for edit in edits(found) if edit.counts)
    return Proposal(tuple(ideas), tuple(notes))


def idea_of(edit: Edit) -> Idea:
    """Return an edit without its whereabouts."""
    change = edit.change
    scope = str(change.optimizer_scope)
    return Idea(change.knob, change.component, edit.direction, edit.old, edit.new, scope)


def from_settings(source: str, now: Config) -> Proposal:
    """Return what a file sets otherwise than the accepted configuration the memory knows.

    The accepted file is not at hand: what is no setting stays unseen. Held against nothing, a whole
    file would read as one edit.
    """
    if not now:
        return Proposal((), ("no accepted settings are known to hold the file against",))
    own: list[Idea] = []
    following: list[Idea] = []
    for setting in configuration(source).settings.values():
        knob = setting.knob
        before, after = now.get(knob), value_of(knob, setting.folded, setting.value)
        if before != after:
            kind = ChangeType.ADD if before is None else ChangeType.REPLACE
            kept = following if computed(setting) else own
            kept.append(idea(knob, component_of(knob), kind, before, after))
    note = "compared with the remembered settings: the accepted file was not given"
    return Proposal(tuple(own or following), (note,))


def computed(setting: Setting) -> bool:
    """Tell whether a number is worked out from others: it moves where they do.

    The number of heads that follows from depth and width is no edit of its own.
    """
    return not isinstance(setting.folded, str) and bool(NAME.search(setting.value))


def idea(knob: str, component: str, kind: ChangeType, old: Value | None, new: Value | None) -> Idea:
    """Return an idea whose direction follows from its values where both are numbers."""
    low, high = number(old), number(new)
    direction = str(kind)
    if low is not None and high is not None and low != high:
        direction = "increase" if high > low else "decrease"
    return Idea(knob, component, direction, old, new)


def holds(now: Value | None, new: Value) -> bool:
    """Tell whether what a message asks for is what is set; muon+adamw is called Muon."""
    first = now.partition("+")[0] if isinstance(now, str) else now
    return same_value(now, new, ROUNDED) or same_value(first, new, ROUNDED)


def from_message(message: str, now: Config, aliases: Path | None = None) -> Proposal:
    """Return what a message claims; names are looked up without spaCy.

    A factor ("halve", "1.5x") becomes a value where the present one is known.
    """
    from kg.lexicon import load
    from kg.text import resolve

    current = {knob: float(v) for knob, v in now.items() if not isinstance(v, str)}
    found = resolve(message, load(aliases), current=current, engine="light")
    ideas: dict[Idea, None] = {}
    notes = []
    for claim in found.claims:
        change = Change(
            claim.knob,
            claim.component,
            claim.change_type,
            OptimizerScope.NONE,
            claim.old,
            claim.new,
        )
        (edit,) = edits([change])
        old = now.get(claim.knob) if edit.old is None else edit.old
        new = edit.new
        if new is None and claim.factor is not None and (base := number(old)) is not None:
            new = value_of(claim.knob, base * claim.factor, None)
        if edit.counts:
            ideas[idea(claim.knob, claim.component, claim.change_type, old, new)] = None
        if new is not None and holds(now.get(claim.knob), new):
            notes.append(f"{claim.knob}: is {shown(now[claim.knob])} already")
    for rest in found.unresolved:
        nearest = ", ".join(name for name, _ in rest.candidates[:3])
        notes.append(f"not resolved: {rest.text!r}" + (f"; nearest: {nearest}" if nearest else ""))
    return Proposal(tuple(ideas), tuple(notes), from_text=True)
