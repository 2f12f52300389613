"""A proposal against one campaign: tried before, tried like this, or failing in this direction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kg.answering import within_noise
from kg.board import SEED, Board, EvidenceKey, Outcome, Row, Trial
from kg.check_context import differences
from kg.check_labels import Labels
from kg.check_model import Advised, Difference, Idea, Reason, shown
from kg.check_values import EXACT, near_value, number, same_edit, same_value
from kg.vocab import Value

FAILED: Final = frozenset({Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED})
DEAD_AFTER: Final = 3
"""Isolated failures in one direction that make a dead end. With 2, "depth 10 at the same width"
of the reference run would be called one after a try that was too narrow and one that was too
deep; with 3 there is no false alarm in its 125 experiments."""
UNDECIDED: Final = 1
"""Failures inside a measured noise floor that do not yet refuse a second run. In `bench
simulation` 29 % of the edits refused for one such failure were truly better, of all others 3 %."""
SHOWN: Final = 3  # experiments a verdict names


class Tried(NamedTuple):
    """One trial with what it was a trial of."""

    key: EvidenceKey
    trial: Trial


@dataclass(slots=True)
class Finding:
    """What one campaign says of a proposal."""

    verdict: Advised
    reasons: list[Reason] = field(default_factory=list)
    differences: tuple[Difference, ...] = ()
    won: bool = False  # the same setting was accepted the last time


@dataclass(frozen=True, slots=True)
class Case:
    """A proposal and the campaign it is held against."""

    board: Board
    ideas: tuple[Idea, ...]
    labels: Labels
    noise: float | None
    tolerance: float = EXACT
    measured: bool = False  # the noise is a measured floor, not what a rerun happened to show

    def tried(self, knob: str) -> list[Tried]:
        """Return every attempt at a knob, in order."""
        found = [
            Tried(key, trial)
            for key in self.board.about.get(knob, ())
            for trial in self.board.evidence[key]
        ]
        return sorted(found, key=lambda pair: (pair.trial.order, pair.key))

    def same(self, idea: Idea, pair: Tried) -> bool:
        """Tell whether an attempt led to the setting an idea leads to."""
        key, trial = pair
        tried = (key.direction, trial.new)
        return same_edit(idea.direction, idea.new, *tried, self.tolerance, idea.knob)

    def failed(self, pair: Tried) -> bool:
        """Tell whether an attempt was run to its end and not accepted."""
        trial = pair.trial
        return trial.outcome in FAILED and not self.board.names[trial.name].kept

    def undecided(self, failed: list[Row]) -> bool:
        """Tell whether failures say nothing yet: few, and all inside the measured noise."""
        inside = all(within_noise(row.delta, self.noise) for row in failed)
        return self.measured and inside and len(failed) <= UNDECIDED

    def knobs(self, name: str) -> set[str]:
        """Return the knobs an experiment edited."""
        return {key.knob for key, _ in self.board.pairs.get(name, ())}


def judge(case: Case) -> Finding:
    """Return what a campaign says of a proposal."""
    hits = [{p.trial.name: p for p in case.tried(i.knob) if case.same(i, p)} for i in case.ideas]
    shared = set.intersection(*map(set, hits)) if hits else set()
    wanted = {idea.knob for idea in case.ideas}
    rows = [case.board.names[name] for name in shared if case.knobs(name) == wanted]
    judged = [row for row in rows if row.kept or row.outcome in FAILED]
    exact = sorted(judged, key=lambda row: row.order)
    if exact and not exact[-1].kept:
        return tried_before(case, exact, hits[0])
    dead = dead_end(case)
    if dead is not None:
        return dead
    near = [*given_up(case, exact), *partly(case, hits), *beside(case)]
    if near:
        return Finding(Advised.NEAR, near[:SHOWN], won=bool(exact))
    return Finding(Advised.NEW, closest(case))


def tried_before(case: Case, exact: list[Row], hits: dict[str, Tried]) -> Finding:
    """Return the verdict on what was tried just so and failed the last time."""
    last = exact[-1]
    failed = [row for row in reversed(exact) if not row.kept]
    if case.undecided(failed):
        undecided = [reason(case, hits[row.name], "tried it, undecided") for row in failed]
        return Finding(Advised.NEAR, undecided)
    reasons = [reason(case, hits[row.name], "tried it") for row in failed[:SHOWN]]
    partners = {
        key.knob
        for row in failed
        for key, _ in case.board.pairs.get(row.name, ())
        if len(case.knobs(row.name)) > 1
    }
    found = differences(case.board, case.ideas, last, case.labels, partners)
    justified = any(difference.bears for difference in found)
    return Finding(Advised.RETRY_JUSTIFIED if justified else Advised.REPEAT, reasons, found)


def dead_end(case: Case) -> Finding | None:
    """Return the verdict on a direction that failed again and again, None if it did not.

    Counted are isolated failures beyond the noise since the knob last moved on the accepted
    line; the proposal must go at least as far as the nearest of them.
    """
    walls = [wall_of(case, idea) for idea in case.ideas]
    if not walls or not all(walls):
        return None
    last = max((pair for wall in walls for pair in wall), key=lambda pair: pair.trial.order)
    found = differences(case.board, case.ideas, case.board.names[last.trial.name], case.labels)
    reasons = []
    for idea, wall in zip(case.ideas, walls, strict=True):
        told = f"is the last of {len(wall)} failures to {idea.direction} it, none improved"
        reasons += [reason(case, pair, told) for pair in wall[:-2:-1]]
        reasons += [reason(case, pair, "failed too") for pair in wall[-2 : -SHOWN - 1 : -1]]
    justified = any(difference.bears for difference in found)
    return Finding(Advised.RETRY_JUSTIFIED if justified else Advised.DEAD_END, reasons, found)


def wall_of(case: Case, idea: Idea) -> list[Tried]:
    """Return the failures that make an idea's direction a dead end, none if it is not."""
    if idea.direction not in ("increase", "decrease"):
        return []
    tried = case.tried(idea.knob)
    moves = [pair.trial.order for pair in tried if case.board.names[pair.trial.name].kept]
    since = max(moves, default=(-1, ""))
    ahead = [p for p in tried if p.key.direction == idea.direction and p.trial.order > since]
    failed = [
        pair
        for pair in ahead
        if pair.key.isolated
        and case.failed(pair)
        and within_noise(pair.trial.delta, case.noise) is not True
    ]
    improved = any(pair.trial.outcome == Outcome.IMPROVED for pair in ahead)
    if len(failed) < DEAD_AFTER or improved:
        return []
    return failed if idea.new is None or beyond(idea, failed) else []


def beyond(idea: Idea, failed: Iterable[Tried]) -> bool:
    """Tell whether an idea goes at least as far as the nearest failure in its direction."""
    new = number(idea.new)
    steps = [value for pair in failed if (value := number(pair.trial.new)) is not None]
    if new is None or not steps:
        return True
    return new >= min(steps) if idea.direction == "increase" else new <= max(steps)


def given_up(case: Case, exact: list[Row]) -> list[Reason]:
    """Return what held once and was given up: a value that was kept, or the one at the start."""
    if exact:
        row = exact[-1]
        pairs = [Tried(key, trial) for key, trial in case.board.pairs[row.name]]
        held = all(holds(case, idea) for idea in case.ideas)
        lead = "set it, and it still holds" if held else "had it, and it was changed later"
        return [reason(case, pairs[0], lead)]
    found = []
    for idea in case.ideas:
        for pair in reversed(case.tried(idea.knob)):
            left = same_value(pair.trial.old, idea.new, case.tolerance)
            if left and pair.trial.outcome == Outcome.IMPROVED:
                found.append(reason(case, pair, f"moved away from {shown_value(idea)}"))
                break
    return found


def holds(case: Case, idea: Idea) -> bool:
    """Tell whether an idea's value is the accepted one: a message may propose what is there."""
    regimes = case.board.regimes.get(idea.knob, [])
    return bool(regimes) and same_value(regimes[-1].value, idea.new, case.tolerance)


def partly(case: Case, hits: list[dict[str, Tried]]) -> list[Reason]:
    """Return attempts that share a part of a proposal, or tried it only with something else."""
    wanted = {idea.knob for idea in case.ideas}
    found = []
    for idea, pairs in zip(case.ideas, hits, strict=True):
        for pair in reversed(list(pairs.values())):
            others = case.knobs(pair.trial.name) - {idea.knob}
            if not case.failed(pair) or case.knobs(pair.trial.name) == wanted:
                continue
            named = ", ".join(case.labels(other) for other in sorted(others))
            lead = f"tried it only together with {named}" if others else "tried this part alone"
            found.append(reason(case, pair, lead))
    return found


def beside(case: Case) -> list[Reason]:
    """Return attempts at neighbouring values, and at the same knob where no value is told."""
    found = []
    for idea in case.ideas:
        for pair in reversed(case.tried(idea.knob)):
            key, trial = pair
            if not case.failed(pair):
                continue
            told = trial.new is not None and idea.new is not None
            near = told and near_value(idea.new, trial.new, trial.old)
            untold = not told and key.direction == idea.direction
            if near and not case.same(idea, pair):
                found.append(reason(case, pair, "tried a neighbouring value"))
            elif untold:
                found.append(reason(case, pair, f"tried to {idea.direction} it"))
    if [idea.knob for idea in case.ideas] == [SEED]:
        found += [
            reason(case, pair, "tried another seed, which is noise and no improvement")
            for pair in case.tried(SEED)[-1:]
        ]
    return found


def closest(case: Case) -> list[Reason]:
    """Return the nearest attempt at each knob of a new proposal, for what it is worth."""
    found = []
    for idea in case.ideas[:SHOWN]:
        tried = case.tried(idea.knob)
        if tried:
            nearest = min(tried, key=lambda pair: (distance(idea.new, pair.trial.new), pair.key))
            found.append(reason(case, nearest, "is the nearest attempt"))
    return found


def distance(one: Value | None, other: Value | None) -> float:
    """Return how far two numbers are apart, infinite where they cannot be compared."""
    left, right = number(one), number(other)
    return float("inf") if left is None or right is None else abs(left - right)


def shown_value(idea: Idea) -> str:
    """Return the value of an idea, or its direction."""
    return shown(idea.new) if idea.new is not None else idea.direction


def reason(case: Case, pair: Tried, lead: str) -> Reason:
    """Return one experiment as a reason."""
    key, trial = pair
    inside = within_noise(trial.delta, case.noise)
    edit = f"{case.labels(key.knob)} {told(trial, key)}"
    cite = f"{trial.name} {trial.commit}".rstrip()
    text = f"{cite} {lead}: {edit} {trial.outcome}{result_of(trial, key, inside)}"
    return Reason(
        trial.name,
        trial.commit,
        text,
        key.knob,
        trial.new,
        trial.outcome,
        trial.delta,
        inside,
    )


def told(trial: Trial, key: EvidenceKey) -> str:
    """Return an edit in short: ``0.8 -> 0.9``, ``-> 0.9``, ``remove``."""
    if trial.new is None:
        return key.direction
    before = f"{shown(trial.old)} " if trial.old is not None else ""
    return f"{before}-> {shown(trial.new)}"


def result_of(trial: Trial, key: EvidenceKey, inside: bool | None) -> str:
    """Return what a trial cost or gained, with what may be said of it."""
    parts = [] if trial.delta is None else [f"{trial.delta:+.6f} {key.metric}"]
    if inside:
        parts.append("inside the noise")
    if not key.isolated:
        parts.append("combined")
    return f" ({', '.join(parts)})" if parts else ""
