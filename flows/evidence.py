"""What a campaign's experiments say of each knob, seen from the accepted version."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows.edits import Kind, Knob, knobs
from flows.scale import place
from flows.syntax import Value

MEMORY = 300  # experiments looked back on: a night has ~100; keeps a proposal under a second
FRESH = 3  # accepted steps after which a lost value may be tried again: what it met has changed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished experiment, as the researcher needs it."""

    source: str
    value: float | None  # None for a crash
    status: str  # keep, discard or crash


@dataclass(frozen=True, slots=True)
class Trial:
    """The knobs one experiment moved and what that gained on the version accepted then."""

    moved: dict[str, tuple[Value | None, Value | None]]  # old and new, None where it was absent
    gain: float | None  # positive is better, in the metric's unit; None for a crash
    kept: bool
    accepted: int  # how many versions had been accepted before


def read_trials(history: Sequence[Outcome], *, minimise: bool) -> list[Trial]:
    """Compare each experiment with the one kept before it."""
    found: list[Trial] = []
    parent: dict[str, Value] | None = None
    base, accepted = 0.0, 0
    older = [outcome for outcome in history[:-MEMORY] if outcome.status == "keep"]
    for outcome in (*older[-1:], *history[-MEMORY:]):
        values = settings(outcome.source)
        finite = outcome.value is not None and math.isfinite(outcome.value)
        value = outcome.value if finite and outcome.status != "crash" else None
        kept = outcome.status == "keep" and value is not None
        if parent is not None:
            gain = None if value is None else (base - value if minimise else value - base)
            found.append(Trial(differences(parent, values), gain, kept, accepted))
        if kept and value is not None:
            parent, base, accepted = values, value, accepted + 1
    return found


def settings(source: str) -> dict[str, Value]:
    """Return every knob's value by name."""
    return {knob.name: knob.value for knob in knobs(source)}


def differences(
    old: dict[str, Value], new: dict[str, Value]
) -> dict[str, tuple[Value | None, Value | None]]:
    """Return the knobs whose value differs, with both values."""
    names = sorted(old.keys() | new.keys())
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One value of a knob that was run, compared with the accepted value."""

    value: Value
    at: float  # on the knob's scale; 0 for a choice
    gain: float | None  # on the accepted version, as far as this knob goes; None for a crash
    fresh: bool  # seen against nearly the present program


def sightings(knob: Knob, trials: Sequence[Trial]) -> list[Sighting]:
    """Return what was seen of a knob's other values.

    Gains add up along the accepted versions: a value that lost 0.01 to 0.04 has lost 0.03 to
    the 0.06 that won 0.02 since.
    """
    mine = [trial for trial in trials if knob.name in trial.moved]
    won = sum(trial.gain or 0.0 for trial in mine if trial.kept)
    latest = max((trial.accepted + trial.kept for trial in trials), default=0)
    found: list[Sighting] = []
    height = 0.0
    for trial in mine:
        share = len(trial.moved)
        old, new = trial.moved[knob.name]
        age = latest - trial.accepted
        if trial.kept:
            found += sighting(knob, old, height - won, age=age)
            height += trial.gain or 0.0
        elif trial.gain is None:
            found += sighting(knob, new, None, age=age if share == 1 else 99)
        else:
            found += sighting(knob, new, height - won + trial.gain / share, age=age)
    return found


def sighting(knob: Knob, value: Value | None, gain: float | None, *, age: int) -> list[Sighting]:
    """Return a sighting, or none where the value has no place on the knob's scale."""
    if value is None and knob.kind is Kind.CHOICE:
        value = "removed"
    at = 0.0 if knob.kind is Kind.CHOICE else place(knob, value)
    if value is None or at is None or value == knob.value:
        return []
    return [Sighting(value, at, gain, gain is None or age <= FRESH)]


def weight(knob: Knob, trials: Sequence[Trial]) -> float:
    """Return how promising a knob is: its usual yield times what this campaign has seen.

    A win doubles it, a loss takes 60 %, a crash 80 %; both fade by a fifth with each version
    accepted since, and are shared among the knobs of one edit.
    """
    latest = max((trial.accepted + trial.kept for trial in trials), default=0)
    total = knob.yields
    for trial in trials:
        if knob.name not in trial.moved:
            continue
        fade = 0.8 ** (latest - trial.accepted - trial.kept) / len(trial.moved)
        total *= 1 + fade if trial.kept else 1 - (0.8 if trial.gain is None else 0.6) * fade
    return total


def near_misses(trials: Sequence[Trial]) -> Iterator[tuple[str, Value]]:
    """Yield single edits that were discarded but cost next to nothing, the best first.

    Two gains that each drown in the noise can show together; each gets one such chance.
    """
    used = {(name, new) for t in trials if len(t.moved) > 1 for name, (_, new) in t.moved.items()}
    sizes = sorted(abs(trial.gain) for trial in trials if trial.gain is not None)
    usual = sizes[len(sizes) // 2] if sizes else 0.0
    latest = max((trial.accepted + trial.kept for trial in trials), default=0)
    close = [
        (trial.gain, *next(iter(trial.moved.items())))
        for trial in trials
        if trial.gain is not None
        and not trial.kept
        and len(trial.moved) == 1
        and trial.gain >= -0.5 * usual
        and latest - trial.accepted <= FRESH
    ]
    for _, name, (_, new) in sorted(close, key=lambda item: (-item[0], item[1])):
        if new is not None and (name, new) not in used:
            yield name, new


def losing_streak(trials: Sequence[Trial]) -> int:
    """Return how many experiments ran since the last one that was kept."""
    return next((n for n, trial in enumerate(reversed(trials)) if trial.kept), len(trials))
