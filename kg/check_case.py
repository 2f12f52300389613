"""A proposal, the campaign it is held against, and its attempts as reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from kg.answering import undecided, within_noise
from kg.board import Board, EvidenceKey, Outcome, Row, Trial
from kg.check_labels import Labels
from kg.check_model import Idea, Reason, shown
from kg.check_values import EXACT, same_edit

FAILED: Final = frozenset({Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED})


class Tried(NamedTuple):
    """One trial with what it was a trial of."""

    key: EvidenceKey
    trial: Trial


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
        """Return every attempt at a knob, in order; asked a dozen times a proposal."""
        place = f"tried {knob}"
        if place not in self.board.memo:
            found = [
                Tried(key, trial)
                for key in self.board.about.get(knob, ())
                for trial in self.board.evidence[key]
            ]
            found.sort(key=lambda pair: (pair.trial.order, pair.key))
            self.board.memo[place] = found
        return list(self.board.memo[place])

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
        return self.measured and undecided(failed, self.noise)

    def knobs(self, name: str) -> set[str]:
        """Return the knobs an experiment edited."""
        return {key.knob for key, _ in self.board.pairs.get(name, ())}


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
