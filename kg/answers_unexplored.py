"""Answers about what was never tried: of one campaign's accepted file, or of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from kg import vocab
from kg.amount import number
from kg.answering import Rows, limited, within_noise
from kg.arguments import SETS
from kg.board import Board, EvidenceKey, Outcome, Regime
from kg.components import ALONE
from kg.query import Asked
from kg.sums import sums
from kg.terms import LAB
from kg.vocab import Value

STATES: Final = SETS["state"]


def unexplored(asked: Asked) -> tuple[Rows, bool]:
    """Return the knobs of the accepted file by how little is known about them.

    The components that won most come first: what is untried there promises most. What nobody
    tunes (logging, limits of a device, the seed) is told only of a component that is asked for.
    """
    if asked.campaign is None:
        rows = fleet_rows(asked)
    else:
        (board,) = asked.boards()
        rows = [knob_row(asked, board, regime) for regime in settings(asked, board)]
    state, tuned = asked.text("state"), not asked.given("component")
    rows = [
        row
        for row in rows
        if asked.about(row["component"])
        and state in ("", row["state"])
        and not (tuned and row["component"] in ALONE)
    ]
    return limited(asked, sorted(rows, key=most_promising(asked)))


def most_promising(asked: Asked) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return what rows are ordered by: state, improvements in the component, names."""
    won = Counter[str]()
    for edit, part in sums(asked).items():
        won[edit.component] += part.improved

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        component = row["component"]
        return STATES.index(row["state"]), -won[component], component, row["knob"]

    return key


def settings(asked: Asked, board: Board) -> list[Regime]:
    """Return the settings of the accepted file that somebody could set and that can act in it."""
    held = board.config()
    if board.accepted is None:
        return [held[knob] for knob in sorted(held)]
    idle = idle_knobs(asked, board.accepted.name, board.about)
    return [held[knob] for knob in sorted(held) if knob not in idle]


def idle_knobs(asked: Asked, name: str, tried: Any) -> set[str]:
    """Return the knobs of an experiment that cannot act, or only follow and never were tried."""
    graph, node = asked.graph, vocab.experiment(name)
    follow = {knob for knob in graph.values(node, LAB.follows) if knob not in tried}
    return follow.union(graph.values(node, LAB.inert))


def knob_row(asked: Asked, board: Board, regime: Regime) -> dict[str, Any]:
    """Return what is known about one knob of the accepted file."""
    keys = board.about.get(regime.knob, ())
    trials = [trial for key in keys for trial in board.evidence[key]]
    present = number(regime.value)
    last = max(trials, key=lambda trial: trial.order, default=None)
    least = present == 0  # no warmup, no decay: nothing lies below
    sides = beside([one for key in keys for one in seen(board, key)], present)
    gone = {key.direction for key in keys if board.evidence[key]}
    found = {
        way: any(one.failed for one in side) or way in gone
        for way, side in zip(("decrease", "increase"), sides, strict=True)
    }
    found["decrease"] |= least
    untried = [way for way in found if present is not None and not found[way]]
    shown = [[one for one in side if one.shows] for side in sides]
    bracketed = bool(shown[1]) and bool(shown[0] or least)
    below, above = shown if bracketed else sides
    return {
        "component": asked.graph.component(regime.knob),
        "knob": regime.knob,
        "value": regime.value,
        "state": state_of(bool(trials), untried, bracketed),
        "untried": untried,
        "low": max(below, key=first).value if below else None,
        "high": min(above, key=first).value if above else None,
        "n": len({trial.name for trial in trials}),
        "experiment": last.name if last else None,
        "commit": last.commit if last else None,
        "campaign": board.campaign,
    }


class Seen(NamedTuple):
    """A value an attempt speaks against: what it set, or what it was kept instead of."""

    number: float
    value: Value
    failed: bool  # what it set was not kept
    shows: bool  # it alone shows what the value does, as far as the noise is known


def seen(board: Board, key: EvidenceKey) -> Iterator[Seen]:
    """Yield the values that the attempts of one kind speak against, where they are numbers."""
    noise = board.noise
    for trial in board.evidence[key]:
        kept = board.names[trial.name].kept
        value = trial.old if kept else trial.new
        found = number(value)
        if value is None or found is None:
            continue
        told = trial.outcome == Outcome.IMPROVED or not kept
        shows = told and key.isolated and within_noise(trial.delta, noise) is not True
        yield Seen(found, value, not kept, shows)


def first(one: Seen) -> float:
    """Return the number alone: values that are no numbers cannot be ordered."""
    return one.number


def beside(found: list[Seen], present: float | None) -> tuple[list[Seen], list[Seen]]:
    """Return what lies below and above the present value."""
    if present is None:
        return [], []
    below = [one for one in found if one.number < present]
    return below, [one for one in found if one.number > present]


def state_of(tried: bool, untried: list[str], bracketed: bool) -> str:
    """Say how far a knob has been explored."""
    if not tried:
        return "never touched"
    if bracketed:
        return "bracketed"
    return "one direction" if len(untried) == 1 else "open"


def fleet_rows(asked: Asked) -> Rows:
    """Return the knobs of all accepted files with what is known about them anywhere."""
    tried: dict[str, dict[str, int]] = {}
    for edit, part in sums(asked).items():
        directions = tried.setdefault(edit.knob, {})
        directions[edit.direction] = directions.get(edit.direction, 0) + part.n
    return [
        fleet_knob(asked, knob, numeric, tried.get(knob, {}))
        for knob, numeric in accepted_knobs(asked, tried).items()
    ]


def accepted_knobs(asked: Asked, tried: Any) -> dict[str, bool]:
    """Return the knobs that act in some accepted file, and whether their values are numbers."""
    graph = asked.graph
    if asked.as_of is None and "accepted" in graph.memo:
        return dict(graph.memo["accepted"])
    found: dict[str, bool] = {}
    for tag in graph.campaigns():
        name = accepted_name(asked, tag)
        idle = idle_knobs(asked, name, tried) if name else set()
        for knob, value in (graph.settings(name) if name else {}).items():
            if knob not in idle:
                found[knob] = found.get(knob, False) or number(value) is not None
    if asked.as_of is None:
        graph.memo["accepted"] = found
    return found


def accepted_name(asked: Asked, tag: str) -> str | None:
    """Return the accepted experiment of a campaign."""
    if asked.as_of is None:
        found = asked.graph.value(vocab.campaign(tag), LAB.accepted)
        return None if found is None else str(found)
    row = asked.graph.board(tag, asked.as_of).accepted
    return row.name if row else None


def fleet_knob(
    asked: Asked, knob: str, numeric: bool, directions: dict[str, int]
) -> dict[str, Any]:
    """Return what is known about one knob anywhere."""
    untried = [name for name in ("decrease", "increase") if numeric and name not in directions]
    state = "one direction" if len(untried) == 1 else "open"
    return {
        "component": asked.graph.component(knob),
        "knob": knob,
        "state": state if directions else "never touched",
        "untried": untried,
        "n": sum(directions.values()),
    }
