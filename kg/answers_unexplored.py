"""Answers about what was never tried: of one campaign's accepted file, or of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from kg import vocab
from kg.amount import number
from kg.answering import Rows, limited, within_noise
from kg.arguments import SETS
from kg.board import Board, EvidenceKey, Outcome, Regime, Trial
from kg.components import ALONE
from kg.query import Asked
from kg.sums import sums
from kg.terms import LAB
from kg.vocab import Value

STATES: Final = SETS["state"]
Beside = list[tuple[float, Value]]  # values, each with the number it stands for


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
    pairs = [(key, t) for key in board.about.get(regime.knob, ()) for t in board.evidence[key]]
    present = number(regime.value)
    last = max((trial for _, trial in pairs), key=lambda trial: trial.order, default=None)
    least = present == 0  # no warmup, no decay: nothing lies below
    below, above = beside([worse(board, trial) for _, trial in pairs], present)
    failed = beside([t.new for _, t in pairs if not board.names[t.name].kept], present)
    gone = {key.direction for key, _ in pairs}
    found = {"decrease": failed[0] or least, "increase": failed[1]}
    untried = [way for way in found if present is not None and not found[way] and way not in gone]
    shown = beside([worse(board, t) for key, t in pairs if shows(board, key, t)], present)
    bracketed = bool(shown[1]) and bool(shown[0] or least)
    if bracketed:
        below, above = shown
    return {
        "component": asked.graph.component(regime.knob),
        "knob": regime.knob,
        "value": regime.value,
        "state": state_of(bool(pairs), untried, bracketed),
        "untried": untried,
        "low": max(below, key=first, default=(0, None))[1],
        "high": min(above, key=first, default=(0, None))[1],
        "n": len({trial.name for _, trial in pairs}),
        "experiment": last.name if last else None,
        "commit": last.commit if last else None,
        "campaign": board.campaign,
    }


def worse(board: Board, trial: Trial) -> Value | None:
    """Return the value an attempt speaks against: what it set, or what it was kept instead of."""
    return trial.old if board.names[trial.name].kept else trial.new


def shows(board: Board, key: EvidenceKey, trial: Trial) -> bool:
    """Tell whether an attempt alone shows what its value does, as far as the noise is known."""
    told = trial.outcome == Outcome.IMPROVED or not board.names[trial.name].kept
    return told and key.isolated and within_noise(trial.delta, board.noise) is not True


def first(pair: tuple[float, Value]) -> float:
    """Return the number of a pair."""
    return pair[0]


def beside(values: list[Value | None], present: float | None) -> tuple[Beside, Beside]:
    """Return which of some values lie below and above the present one."""
    below: Beside = []
    above: Beside = []
    for value in values:
        found = number(value)
        if present is None or found is None or value is None or found == present:
            continue
        (below if found < present else above).append((found, value))
    return below, above


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
