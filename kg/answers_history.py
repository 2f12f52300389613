"""Answers about the course of a campaign: best, progress, timeline, attempts."""

from __future__ import annotations

from typing import Any

from kg import vocab
from kg.answering import (
    Rows,
    companions,
    condition,
    limited,
    mean_delta,
    within_noise,
)
from kg.board import Board, EvidenceKey, Row, Trial
from kg.query import Asked
from kg.repeats import justification
from kg.terms import LAB


def cite(row: Row) -> dict[str, Any]:
    """Return the columns that name an experiment."""
    return {"experiment": row.name, "commit": row.entry.commit, "seq": row.entry.seq}


def best(asked: Asked) -> tuple[Rows, bool]:
    """Return the best kept experiment of each campaign, the best of all first."""
    leaders = [(board, row) for board in asked.boards() for row in board.best.values()]
    leaders.sort(key=lambda pair: rank(pair[1]))
    most = int(asked.number("limit"))
    rows = [best_row(asked, board, row) for board, row in leaders[:most]]
    return rows, len(leaders) > most


def rank(row: Row) -> tuple[str, float, tuple[int, str]]:
    """Return what experiments are ordered by, best first within one metric."""
    value = row.entry.value or 0.0
    return row.entry.scale.metric, -value if row.entry.scale.sense == "max" else value, row.order


def best_row(asked: Asked, board: Board, row: Row) -> dict[str, Any]:
    """Return one leader with the settings it owes its place to."""
    settings, first = asked.graph.settings(row.name), asked.graph.settings(board.rows[0].name)
    component = asked.text("component")
    if component:
        shown = {k: v for k, v in settings.items() if component in components(asked, k)}
    else:
        shown = {k: v for k, v in settings.items() if first.get(k) != v}
    by = {regime.by for knob in shown for regime in held(board, knob, row)}
    return {
        **cite(row),
        "campaign": board.campaign,
        "metric": row.entry.scale.metric,
        "value": row.entry.value,
        "description": asked.graph.description(row.name),
        "settings": shown,
        "rests_on": sorted(by, key=lambda name: board.names[name].order),
    }


def components(asked: Asked, knob: str) -> list[str]:
    """Return the components a knob belongs to."""
    return asked.graph.values(vocab.knob(knob), LAB.inComponent)


def held(board: Board, knob: str, row: Row) -> list[Any]:
    """Return the regime of a knob in which an experiment stands."""
    regimes = [regime for regime in board.regimes.get(knob, ()) if regime.since <= row.entry.seq]
    return regimes[-1:]


def progress(asked: Asked) -> tuple[Rows, bool]:
    """Return the accepted line of one campaign, or the state of each."""
    if asked.campaign:
        return limited(asked, accepted_line(asked, next(iter(asked.boards()))))
    rows = []
    for board in asked.boards():
        line = accepted_line(asked, board)
        for leader in board.best.values():
            state = next(row for row in line if row["experiment"] == leader.name)
            first = next((row["value"] for row in line if row["value"] is not None), None)
            gained = None if first is None else round(state["value"] - first, 12)
            rows.append({**line[-1], **state, **spent(board), "delta": gained})
    return limited(asked, rows)


def spent(board: Board) -> dict[str, Any]:
    """Return what a campaign has cost."""
    attempts, kept = len(board.attempts), board.tally["keep"]
    rate = round(kept / attempts, 4) if attempts else None
    return {
        "attempts": attempts,
        "kept": kept,
        "keep_rate": rate,
        "seconds": round(board.spent, 3),
    }


def accepted_line(asked: Asked, board: Board) -> Rows:
    """Return one row per kept experiment, with what had been spent by then."""
    rows: Rows = []
    attempts = kept = 0
    seconds = 0.0
    for row in board.rows:
        attempts += row.attempt
        seconds += row.entry.seconds or 0.0
        if not row.kept:
            continue
        kept += 1
        knobs = sorted({key.knob for key, _ in board.pairs.get(row.name, ())})
        rows.append(
            {
                **cite(row),
                "campaign": board.campaign,
                "metric": row.entry.scale.metric,
                "value": row.entry.value,
                "delta": row.delta,
                "within_noise": within_noise(row.delta, board.noise),
                "knobs": knobs,
                "attempts": attempts,
                "kept": kept,
                "keep_rate": round(kept / attempts, 4) if attempts else None,
                "seconds": round(seconds, 3),
                "description": asked.graph.description(row.name),
            }
        )
    return rows


def timeline(asked: Asked) -> tuple[Rows, bool]:
    """Return the regimes: which setting held from which accepted experiment to which."""
    wanted = asked.text("knob")
    rows: Rows = []
    for board in asked.boards():
        found = [
            regime
            for knob, regimes in board.regimes.items()
            for regime in regimes
            if (knob == wanted if wanted else len(regimes) > 1)
        ]
        for regime in sorted(found, key=lambda r: (r.knob, r.since, r.by)):
            rows.append(
                {
                    "knob": regime.knob,
                    "value": regime.value,
                    "from_seq": regime.since,
                    "until_seq": regime.until,
                    "experiment": regime.by,
                    "commit": board.names[regime.by].entry.commit,
                    "ended_by": regime.ended_by,
                    "campaign": board.campaign,
                }
            )
    return limited(asked, rows)


def attempts(asked: Asked) -> tuple[Rows, bool]:
    """Return every attempt at a knob."""
    rows: Rows = []
    most = int(asked.number("limit"))
    for board in asked.boards():
        rows += attempts_in(asked, board)
        if len(rows) > most:
            break
    return limited(asked, rows)


def attempts_in(asked: Asked, board: Board) -> Rows:
    """Return the attempts at a knob in one campaign, in their order."""
    knob, direction = asked.text("knob"), asked.text("direction")
    fits = condition(knob, asked.text("value")) if asked.given("value") else None
    found = [
        (key, trial)
        for key in board.about.get(knob, ())
        if not direction or key.direction == direction
        for trial in board.evidence[key]
        if fits is None or fits(trial.new)
    ]
    since = [f"{name} ({by})" for name, by in justification(board, (knob,))]
    rows = []
    for key, trial in sorted(found, key=lambda pair: (pair[1].order, pair[0])):
        row = attempt_row(asked, board, key, trial)
        rows.append({**row, "retry": since})
    return rows


def attempt_row(asked: Asked, board: Board, key: EvidenceKey, trial: Trial) -> dict[str, Any]:
    """Return one attempt."""
    alone = [
        other
        for isolated in board.about[key.knob]
        if isolated.isolated and isolated.direction == key.direction and isolated.to == key.to
        for other in board.evidence[isolated]
    ]
    effect = mean_delta(alone)
    return {
        "experiment": trial.name,
        "commit": trial.commit,
        "campaign": board.campaign,
        "seq": trial.seq,
        "direction": key.direction,
        "old": trial.old,
        "new": trial.new,
        "outcome": trial.outcome,
        "delta": trial.delta,
        "within_noise": within_noise(trial.delta, board.noise),
        "alone": key.isolated,
        "with": companions(board, trial),
        "isolated_effect": effect if alone else "never isolated",
        "description": asked.graph.description(trial.name),
    }
