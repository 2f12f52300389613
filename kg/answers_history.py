"""Answers about the course of a campaign: best, progress, timeline, attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

from kg.answering import (
    Rows,
    campaign_by_campaign,
    companions,
    condition,
    limited,
    mean_delta,
    undecided,
    within_noise,
)
from kg.answers_fleet import best_of_fleet, leader_row, leaders, progress_of_fleet
from kg.board import Board, EvidenceKey, Outcome, Regime, Row, Trial
from kg.entries import ATTEMPTED
from kg.query import Asked
from kg.since import Moved, accepted_since, justification

FAILED: Final = ATTEMPTED - {Outcome.IMPROVED}


def cite(row: Row) -> dict[str, Any]:
    """Return the columns that name an experiment."""
    return {"experiment": row.name, "commit": row.entry.commit, "seq": row.entry.seq}


def best(asked: Asked) -> tuple[Rows, bool]:
    """Return the best kept experiment of each campaign, the best of all first."""
    if asked.campaign is None:
        return best_of_fleet(asked)
    (board,) = asked.boards()
    rows = [leader_row(asked, row) for row in leaders(asked)]
    return limited(asked, [{**row, "rests_on": brought(board, row)} for row in rows])


def brought(board: Board, row: dict[str, Any]) -> list[str]:
    """Return the experiments that brought the settings of a leader, in their order."""
    seq = row["seq"]
    by = {regime.by for knob in row["settings"] for regime in held(board, knob, seq)}
    return sorted(by, key=lambda name: board.names[name].order)


def held(board: Board, knob: str, seq: int) -> list[Regime]:
    """Return the regime of a knob in which an experiment stands."""
    regimes = [regime for regime in board.regimes.get(knob, ()) if regime.since <= seq]
    return regimes[-1:]


def progress(asked: Asked) -> tuple[Rows, bool]:
    """Return the accepted line of one campaign, or the state of each."""
    if asked.campaign is None:
        return progress_of_fleet(asked)
    (board,) = asked.boards()
    return limited(asked, accepted_line(asked, board))


def accepted_line(asked: Asked, board: Board) -> Rows:
    """Return one row per kept experiment, with what had been spent by then.

    Where results are known, what was accepted without one is no step: see `Board.counts`.
    """
    rows: Rows = []
    attempts = kept = 0
    seconds = 0.0
    for row in board.rows:
        untold = row.untold and board.measured
        attempts += row.attempt and not untold
        seconds += row.entry.seconds or 0.0
        if not row.kept or untold:
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
                "seconds": round(seconds, 3) or None,  # nobody told: no night takes none
                "description": asked.graph.description(row.name),
            }
        )
    return rows


def timeline(asked: Asked) -> tuple[Rows, bool]:
    """Return the regimes: which setting held from which accepted experiment to which."""
    return campaign_by_campaign(asked, lambda board: regime_rows(asked, board))


def regime_rows(asked: Asked, board: Board) -> Iterator[dict[str, Any]]:
    """Yield the regimes of one campaign by knob."""
    wanted = asked.text("knob")
    for knob, regimes in sorted(board.regimes.items()):
        if knob != wanted and (wanted or len(regimes) == 1):
            continue
        for regime in regimes:
            yield {
                "knob": knob,
                "value": regime.value,
                "from_seq": regime.since,
                "until_seq": regime.until,
                "experiment": regime.by,
                "commit": board.names[regime.by].entry.commit,
                "ended_by": regime.ended_by,
            }


def attempts(asked: Asked) -> tuple[Rows, bool]:
    """Return every attempt at a knob."""
    return campaign_by_campaign(asked, lambda board: attempts_in(asked, board))


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
    reasons = Reasons(cache(partial(accepted_since, board)))
    effect = cache(partial(isolated_effect, board, knob))
    return [
        {
            **attempt_row(asked, board, key, trial),
            "isolated_effect": effect(key.direction, key.to),
            "retry": retry(board, key, trial, reasons),
        }
        for key, trial in sorted(found, key=lambda pair: (pair[1].order, pair[0]))
    ]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What justifies another try, found once for the attempts that share it: most of a knob do."""

    moves: Callable[[tuple[int, str]], dict[str, Moved]]
    known: dict[tuple[str, frozenset[str]], list[str]] = field(default_factory=dict)


def retry(board: Board, key: EvidenceKey, trial: Trial, reasons: Reasons) -> list[str] | str | None:
    """Return what has changed since a failed attempt and bears on trying it again, else "no".

    "undecided" where `check` would not refuse a second run: one failure inside the measured noise.
    Counted from the last attempt in the direction, so attempts with the same company share it.
    What was kept, or never run to its end, has nothing to be justified.
    """
    if trial.outcome not in FAILED or board.names[trial.name].kept:
        return None
    if board.threshold is not None:
        failed = failed_alike(board, key, trial)
        if failed and undecided(failed, board.threshold):
            return "undecided"
    company = frozenset(other.knob for other, _ in board.pairs[trial.name])
    place = (key.direction, company)
    if place not in reasons.known:
        found = justification(board, (key,), board.names[trial.name], reasons.moves)
        reasons.known[place] = [f"{knob} ({by})" for knob, by in found]
    return reasons.known[place] or "no"


def failed_alike(board: Board, key: EvidenceKey, trial: Trial) -> list[Row]:
    """Return the failures of what an attempt tried: the same knobs, to the same values."""
    place = f"failed at {key.knob}"
    if place not in board.memo:
        found: dict[frozenset[tuple[str, ...]], list[Row]] = {}
        names = {t.name for other in board.about[key.knob] for t in board.evidence[other]}
        for row in map(board.names.__getitem__, sorted(names)):
            edits = edits_of(board, row.name)
            if edits and not row.kept and row.outcome in FAILED:
                found.setdefault(edits, []).append(row)
        board.memo[place] = found
    return list(board.memo[place].get(edits_of(board, trial.name), ()))


def edits_of(board: Board, name: str) -> frozenset[tuple[str, ...]]:
    """Return what an experiment set to what, empty where an edit cannot be made again as such."""
    from kg.amount import number
    from kg.check_values import plain, same_edit  # 15 ms, where a floor was measured

    found = set()
    for key, trial in board.pairs[name]:
        edit = (key.direction, trial.new)
        if not same_edit(*edit, *edit, knob=key.knob):
            return frozenset()
        amount = number(trial.new)
        text = key.direction if trial.new is None else plain(trial.new)
        found.add((key.knob, text if amount is None else f"{amount:.9g}"))
    return frozenset(found)


def isolated_effect(board: Board, knob: str, direction: str, to: str) -> float | str | None:
    """Return the mean effect of the attempts at a knob in a direction that edited nothing else."""
    alone = [
        trial
        for key in board.about[knob]
        if key.isolated and key.direction == direction and key.to == to
        for trial in board.evidence[key]
    ]
    return mean_delta(alone) if alone else "never isolated"


def attempt_row(asked: Asked, board: Board, key: EvidenceKey, trial: Trial) -> dict[str, Any]:
    """Return one attempt."""
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
        "description": asked.graph.description(trial.name),
    }
