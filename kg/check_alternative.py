"""What to try instead: the untried edit next to one that failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from kg import vocab
from kg.amount import number
from kg.board import SEED
from kg.check_case import Case, Tried
from kg.check_model import Alternative, Idea, shown
from kg.check_values import near_value, same_value
from kg.groups import group_of
from kg.terms import LAB
from kg.vocab import INTEGER_KNOBS, Value, value_of

OPPOSITE: Final = {"increase": "decrease", "decrease": "increase"}


def alternative(case: Case, now: Mapping[str, Value]) -> Alternative | None:
    """Return the untried edit nearest to a proposal, None where none can be named.

    In order: halfway to the nearest failure; the other way, if nobody went it; another knob of
    the same parameter group or component that was never touched. Values are rounded to what a
    person would type, whole numbers stay whole.
    """
    for idea in (idea for idea in case.ideas if idea.knob != SEED):  # yet another is none
        for found in (between, other_way, companion):
            answer = found(case, idea, now)
            if answer is not None:
                return answer
    return None


def between(case: Case, idea: Idea, now: Mapping[str, Value]) -> Alternative | None:
    """Return the middle between the present value and the nearest failure beyond it."""
    base = start_of(idea, now)
    if base is None or idea.direction not in OPPOSITE:
        return None
    sign = 1.0 if idea.direction == "increase" else -1.0
    ahead = [(value, pair) for value, pair in failures(case, idea) if sign * (value - base) > 0]
    if not ahead:
        return None
    value, pair = min(ahead, key=lambda one: (abs(one[0] - base), one[1].trial.order))
    middle = rounded(idea.knob, base, value)
    if middle is None or not untried(case, idea, middle):
        return None
    name = case.labels(idea.knob)
    text = f"{name} {shown(middle)}: between {shown(base)} and {shown(value)}, never tried"
    return Alternative(idea.knob, middle, text, pair.trial.name, pair.trial.commit)


def other_way(case: Case, idea: Idea, now: Mapping[str, Value]) -> Alternative | None:
    """Return the same step the other way, if no attempt went it."""
    opposite = OPPOSITE.get(idea.direction)
    base, new = start_of(idea, now), number(idea.new)
    if opposite is None or base is None or new is None:
        return None
    if any(pair.key.direction == opposite for pair in case.tried(idea.knob)):
        return None
    if base * new <= 0:
        return None
    step = typed(idea.knob, base * base / new)
    pairs = case.tried(idea.knob)
    known = any(same_value(step, pair.trial.old) for pair in pairs)
    if known or same_value(step, base) or (isinstance(step, int) and step < 1):
        return None
    last = next((pair.trial for pair in telling(pairs)[::-1]), None)
    text = f"{case.labels(idea.knob)} {shown(step)}: no attempt to {opposite} it yet"
    return Alternative(
        idea.knob, step, text, last.name if last else "", last.commit if last else ""
    )


def companion(case: Case, idea: Idea, now: Mapping[str, Value]) -> Alternative | None:
    """Return a knob that acts on the same parameters, or in the same component, never touched."""
    group, head = group_of(idea.knob), idea.knob.rpartition(".")[0]
    own = {one.knob for one in case.ideas} | idle(case)
    for knob in sorted(now, key=lambda k: (group is None or group_of(k) != group, k)):
        related = group_of(knob) == group if group is not None else knob.rpartition(".")[0] == head
        if not related or knob in own or case.board.about.get(knob) or is_text(now[knob]):
            continue
        where = f"the same parameter group ({group})" if group else "the same component"
        text = f"{case.labels(knob)}, now {shown(now[knob])}: {where}, never touched"
        accepted = case.board.accepted
        name = accepted.name if accepted else ""
        return Alternative(knob, None, text, name, accepted.entry.commit if accepted else "")
    return None


def idle(case: Case) -> set[str]:
    """Return the knobs of the accepted file nobody can turn: followers of others, dead ones."""
    if case.board.accepted is None:
        return set()
    graph, node = case.labels.graph, vocab.experiment(case.board.accepted.name)
    return {*graph.values(node, LAB.follows), *graph.values(node, LAB.inert)}


def is_text(value: Value) -> bool:
    """Tell whether a setting is no number: nobody can say what lies next to it."""
    return number(value) is None


def start_of(idea: Idea, now: Mapping[str, Value]) -> float | None:
    """Return the number an idea starts from."""
    return number(idea.old if idea.old is not None else now.get(idea.knob))


def failures(case: Case, idea: Idea) -> list[tuple[float, Tried]]:
    """Return the values that failed in an idea's direction, with their attempts.

    Isolated ones where there are any: a combined failure may be due to the other edits.
    """
    failed = [
        pair
        for pair in case.tried(idea.knob)
        if pair.key.direction == idea.direction and case.failed(pair)
    ]
    valued = [pair for pair in failed if number(pair.trial.new) is not None]
    return [(number(pair.trial.new) or 0.0, pair) for pair in telling(valued)]


def telling(pairs: list[Tried]) -> list[Tried]:
    """Return the isolated attempts among some, all of them where none is."""
    return [pair for pair in pairs if pair.key.isolated] or pairs


def untried(case: Case, idea: Idea, value: Value) -> bool:
    """Tell whether no attempt was at a value, from it or beside it: what was edited had run."""
    return not any(
        same_value(value, pair.trial.new, case.tolerance)
        or same_value(value, pair.trial.old, case.tolerance)
        or near_value(value, pair.trial.new, pair.trial.old)
        for pair in case.tried(idea.knob)
    )


def rounded(knob: str, low: float, high: float) -> Value | None:
    """Return a value between two others as a person would type it, None if there is none.

    >>> rounded("optimizer.matrix_lr", 0.04, 0.045), rounded("batch.total", 2**18, 2**20)
    (0.0425, 524288)
    >>> rounded("model.depth", 8, 9) is None
    True
    """
    powers = all(v > 0 and math.log2(v).is_integer() for v in (low, high))
    geometric = low * high > 0 and max(low / high, high / low) > 2
    middle = math.copysign(math.sqrt(low * high), low) if geometric else (low + high) / 2
    if knob in INTEGER_KNOBS and powers and low >= 2:
        middle = 2.0 ** round(math.log2(middle))
    value = typed(knob, middle)
    between_them = min(low, high) < float(value) < max(low, high)
    return value if between_them else None


def typed(knob: str, number_: float) -> int | float:
    """Return a number of the kind a knob takes, to three digits."""
    short = float(f"{number_:.3g}")
    whole = round(number_) if abs(number_) >= 2 else number_
    value = value_of(knob, float(whole) if knob in INTEGER_KNOBS else short, None)
    return value if isinstance(value, int | float) else short
