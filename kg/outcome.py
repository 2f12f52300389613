"""What became of an experiment, judged by the experiments before it."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache

from kg.board import (
    SEED,
    Board,
    Entry,
    EvidenceKey,
    Outcome,
    Regime,
    Row,
    Scale,
    Trial,
    Try,
    trials_in,
)
from kg.edit import Edit
from kg.entries import goal
from kg.facts import Facts
from kg.record import ExperimentRecord
from kg.vocab import Value


def entry_of(facts: Facts) -> Entry:
    """Return what a campaign has to know of an experiment."""
    record = facts.record
    crashed = record.status == "crash"
    isolated = len(facts.basis) == 1
    tries = dict.fromkeys(try_of(edit, isolated) for edit in facts.basis)
    return Entry(
        seq=record.seq,
        name=record.name,
        commit=record.commit[:7],
        status=str(record.status),
        value=None if crashed else finite(record.value),
        scale=Scale(record.metric, record.direction, measured_by(record)),
        seconds=spent(record),
        agent=record.agent,
        task=record.task,
        fingerprint=facts.fingerprint[-16:] if facts.fingerprint else None,
        parent=record.parent,
        apart=facts.apart,
        net=facts.net is not None,
        hypothesis=bool(record.hypothesis) or record.expected_delta is not None,
        expected=record.expected_delta,
        lost=facts.lost,
        tries=() if facts.apart == Outcome.INTERRUPTED else tuple(tries),
        settings=tuple(pair(s.knob, s.value) for s in facts.settings) or None,
    )


def spent(record: ExperimentRecord) -> float | None:
    """Return what a run cost: by the parent's clock, which a crash has too, else as it says."""
    told = map(record.summary.get, ("run_seconds", "total_seconds", "training_seconds"))
    return finite(next((number for number in told if number is not None), None))


def measured_by(record: ExperimentRecord) -> str:
    """Return what a value was measured on and by: another evaluation gives other values."""
    return "+".join(filter(None, (record.manifest or "", record.scorer)))


@lru_cache(65536, typed=True)
def pair(knob: str, value: Value) -> tuple[str, Value]:
    """Return a setting, one object for all experiments that have it: most have most alike."""
    return knob, value


def finite(number: float | None) -> float | None:
    """Return a number that can be compared and added, None for all others."""
    return number if number is not None and math.isfinite(number) else None


def try_of(edit: Edit, isolated: bool) -> Try:
    """Return an edit without its whereabouts."""
    change = edit.change
    to = goal(edit.direction, edit.new)
    scope = str(change.optimizer_scope)
    return Try(
        change.component, change.knob, edit.direction, to, scope, isolated, edit.old, edit.new
    )


def row_of(board: Board, entry: Entry) -> Row:
    """Return the log row of the next experiment."""
    reference = reference_of(board, entry)
    delta = None
    if reference is not None and reference.entry.value is not None and entry.value is not None:
        delta = difference(entry.value, reference.entry.value)
    return Row(
        entry=entry._replace(tries=moves_of(entry), settings=None),
        outcome=str(outcome_of(entry, delta)),
        delta=delta,
        compared=reference.name if reference is not None and delta is not None else None,
        deviates=deviation(board, entry),
    )


def moves_of(entry: Entry) -> tuple[Try, ...]:
    """Return the edits a row itself holds, as no evidence does: those that put a program back."""
    return entry.tries if entry.apart == Outcome.LINEAGE else ()


def difference(value: float, than: float) -> float:
    """Subtract as on paper: 0.969714 - 0.969686 is 0.000028, not 2.7999999999972499e-05."""
    return float(Decimal(repr(value)) - Decimal(repr(than)))


def completed(board: Board, entry: Entry) -> Entry:
    """Return an entry with the settings it must have had, where its source is lost.

    Those are the accepted ones with what its message says was changed. A knob that was
    changed to nobody knows what is left out.
    """
    if not entry.lost:
        return entry
    known: dict[str, Value | None] = {k: regime.value for k, regime in board.config().items()}
    tries = tuple(inferred(tried, known.get(tried.knob)) for tried in entry.tries)
    known |= {tried.knob: tried.new for tried in entry.tries}
    settings = tuple(pair(k, v) for k, v in sorted(known.items()) if v is not None)
    return entry._replace(settings=settings or None, tries=tries)


def inferred(tried: Try, held: Value | None) -> Try:
    """Return an edit whose message gives only the new value as one from what was accepted.

    "depth 10" while depth was 9 is an increase: so it counts with the others.
    """
    if tried.old is not None or tried.new is None or held is None or tried.told:
        return tried
    direction = tried.direction
    if direction == "replace" and not isinstance(held, str) and not isinstance(tried.new, str):
        if held == tried.new:
            return tried
        direction = "increase" if tried.new > held else "decrease"
    to = goal(direction, tried.new)
    return tried._replace(old=held, direction=direction, to=to, told=tried.direction)


def deviation(board: Board, entry: Entry) -> dict[str, Value | None] | None:
    """Return the settings in which an experiment differs from what is accepted after it.

    None stands for a knob the experiment does not have. Few knobs differ, so a setting of any
    experiment is known from the regimes and these.
    """
    if entry.settings is None:
        return None
    if entry.status == "keep":
        return {}
    held, now = board.config(), dict(entry.settings)
    found: dict[str, Value | None] = {}
    for knob in sorted(held.keys() | now.keys()):
        value, accepted = now.get(knob), held.get(knob)
        if accepted is None or value is None or not same(accepted.value, value):
            found[knob] = value
    return found


def reference_of(board: Board, entry: Entry) -> Row | None:
    """Return the experiment an outcome is measured against.

    That is the parent; where the edits are taken against the last accepted file instead, or
    the parent has no comparable value, it is the last accepted experiment. What only puts a
    program back stands for the run of that program.
    """
    parent = None if entry.net else board.names.get(entry.parent or "")
    for row in (parent and board.run_of(parent), board.accepted):
        if row and row.entry.value is not None and row.entry.scale == entry.scale:
            return row
    return board.best.get(entry.scale)


def outcome_of(entry: Entry, delta: float | None) -> Outcome:
    """Say what became of an experiment."""
    if entry.apart:
        return Outcome(entry.apart)
    if entry.status == "crash":
        return Outcome.CRASHED
    if delta is None:
        return Outcome.UNKNOWN
    if entry.tries and all(tried.knob == SEED for tried in entry.tries):
        return Outcome.EQUAL  # another seed is the same program: luck, not an improvement
    if entry.scale.better(delta, 0.0):
        return Outcome.IMPROVED if entry.status == "keep" else Outcome.EQUAL
    if entry.status == "keep" or delta == 0.0:
        return Outcome.EQUAL
    return Outcome.WORSENED


def trials_of(entry: Entry, row: Row) -> list[tuple[EvidenceKey, Trial]]:
    """Return the edits of one experiment as trials, none if it was no attempt."""
    return trials_in(row, entry.tries) if row.attempt else []


def turn(board: Board, entry: Entry) -> list[tuple[Regime | None, Regime]]:
    """Let an accepted experiment open and close regimes; return (before, after) of each.

    ``before`` is None where a regime begins.
    """
    if entry.settings is None or entry.status != "keep":
        return []
    steps: list[tuple[Regime | None, Regime]] = []
    held, now = board.config(), dict(entry.settings)
    for knob in sorted(held.keys() | now.keys()):
        old = held.get(knob)
        if old and knob in now and same(old.value, now[knob]):
            continue
        if old:
            closed = old._replace(until=entry.seq, ended_by=entry.name)
            board.regimes[knob][-1] = closed
            steps.append((old, closed))
        if knob in now:
            opened = Regime(knob, now[knob], entry.seq, entry.name)
            board.regimes.setdefault(knob, []).append(opened)
            steps.append((None, opened))
    return steps


def same(one: Value, other: Value) -> bool:
    """Tell whether two settings are one literal: 8 and 8.0 are not, nor are 8 and "8"."""
    return type(one) is type(other) and one == other
