"""Attempts that are like a proposal and not the same: what is worth reading before a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Final

from kg.amount import number
from kg.answering import within_noise
from kg.board import SEED, Outcome, Row
from kg.check_case import Case, Tried, reason
from kg.check_model import Idea, Reason, shown
from kg.check_values import near_value, same_value
from kg.vocab import Value

RESEEDED: Final = Reason("", "", "another seed is noise and no improvement", SEED)
SHOWN: Final = 3  # edits and attempts a proposal that is new is told of


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
    for idea in (idea for idea in case.ideas if idea.knob != SEED):  # no seed is near another
        told = ((pair, likeness(case, idea, pair)) for pair in reversed(case.tried(idea.knob)))
        passed = overtaken(case, idea)
        leads = (
            (pair, lead or ("failed going less far" if pair in passed else ""))
            for pair, lead in told
        )
        some = islice(((pair, lead) for pair, lead in leads if lead), SHOWN)
        found += [reason(case, pair, lead) for pair, lead in some]
    if only_seed(case.ideas):
        found += reseeded(case)
    return found


def likeness(case: Case, idea: Idea, pair: Tried) -> str:
    """Say how a failed attempt is like an idea and not the same, "" if it is not."""
    key, trial = pair
    if trial.new is None or idea.new is None:
        like = key.direction == idea.direction and case.failed(pair)
        return f"tried to {idea.direction} it" if like else ""
    near = near_value(idea.new, trial.new, trial.old) and not case.same(idea, pair)
    return "tried a neighbouring value" if near and case.failed(pair) else ""


def only_seed(ideas: Iterable[Idea]) -> bool:
    """Tell whether a proposal is another seed and nothing else."""
    return [idea.knob for idea in ideas] == [SEED]


def reseeded(case: Case) -> list[Reason]:
    """Say of a proposal that is only another seed what it is, whether or not one was tried."""
    lead = "tried another seed, which is noise and no improvement"
    told = [reason(case, pair, lead) for pair in case.tried(SEED)[-1:]]
    return told or [RESEEDED]


def overtaken(case: Case, idea: Idea) -> list[Tried]:
    """Return the attempts from the present value that failed and that an idea goes beyond."""
    if number(idea.new) is None:
        return []
    valued = (pair for pair in ahead(case, idea) if number(pair.trial.new) is not None)
    failed = (pair for pair in valued if clearly_failed(case, pair) and not case.same(idea, pair))
    return [pair for pair in failed if beyond(idea, [pair])]


def ahead(case: Case, idea: Idea) -> list[Tried]:
    """Return the attempts in an idea's direction since its knob last moved on the accepted line.

    Seeds have no direction: 43 goes no further than 7.
    """
    if idea.knob == SEED:
        return []
    tried = case.tried(idea.knob)
    moves = [pair.trial.order for pair in tried if case.board.names[pair.trial.name].kept]
    since = max(moves, default=(-1, ""))
    return [p for p in tried if p.key.direction == idea.direction and p.trial.order > since]


def clearly_failed(case: Case, pair: Tried) -> bool:
    """Tell whether an attempt failed by more than the noise, as far as that is known."""
    return case.failed(pair) and within_noise(pair.trial.delta, case.noise) is not True


def closest(case: Case) -> list[Reason]:
    """Return the nearest attempts below and above the values of a new proposal."""
    found = []
    for idea in case.ideas[:SHOWN]:
        sides: dict[bool, Tried] = {}
        for pair in reversed(case.tried(idea.knob)):
            gap = distance(idea.new, pair.trial.new)
            side = gap < math.inf and (number(pair.trial.new) or 0.0) > (number(idea.new) or 0.0)
            if side not in sides or gap < distance(idea.new, sides[side].trial.new):
                sides[side] = pair
        nearest = sorted(sides.values(), key=lambda pair: distance(idea.new, pair.trial.new))
        found += [reason(case, pair, "is the nearest attempt") for pair in nearest]
    return found[:SHOWN]


def beyond(idea: Idea, failed: Iterable[Tried]) -> bool:
    """Tell whether an idea goes at least as far as the nearest failure in its direction."""
    new = number(idea.new)
    steps = [value for pair in failed if (value := number(pair.trial.new)) is not None]
    if new is None or not steps:
        return True
    return new >= min(steps) if idea.direction == "increase" else new <= max(steps)


def distance(one: Value | None, other: Value | None) -> float:
    """Return how far two numbers are apart, infinite where they cannot be compared."""
    left, right = number(one), number(other)
    return math.inf if left is None or right is None else abs(left - right)


def shown_value(idea: Idea) -> str:
    """Return the value of an idea, or its direction."""
    return shown(idea.new) if idea.new is not None else idea.direction
