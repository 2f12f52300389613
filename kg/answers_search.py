"""Answers about where to look next: what is unexplored, repeated, swept, expected."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from kg import vocab
from kg.answering import Rows, best_trial, campaign_by_campaign, condition, within_noise
from kg.board import Board, Outcome, Row, Scale, Trial
from kg.derive import verdict_of
from kg.query import Asked
from kg.repeats import Repeat, repeat_of
from kg.sweep import Sweep
from kg.sweep import sweeps as find_sweeps
from kg.terms import DCT


def repeats(asked: Asked) -> tuple[Rows, bool]:
    """Return what was tried again."""
    most, forced = int(asked.number("limit")), asked.graph.forced()

    def rows_of(board: Board) -> Iterator[dict[str, Any]]:
        for repeat in retried(board)[: most + 1]:
            because = forced.get(vocab.experiment(repeat.row.name))
            yield {**repeat_row(repeat), "because": because}

    return campaign_by_campaign(asked, rows_of)


def retried(board: Board) -> list[Repeat]:
    """Return the repeats of a campaign, found once per board."""
    if "repeats" not in board.memo:
        early, found = Board(board.campaign, spans=board.regimes), []
        for row in board.rows:
            trials = board.pairs.get(row.name, [])
            if repeat := repeat_of(early, row, trials):
                found.append(repeat)
            early.note(row)
            early.count(row, trials)
        board.memo["repeats"] = found
    return list(board.memo["repeats"])


def repeat_row(repeat: Repeat) -> dict[str, Any]:
    """Return one repeat."""
    row, earlier = repeat.row, repeat.earlier
    return {
        "experiment": row.name,
        "commit": row.entry.commit,
        "seq": row.entry.seq,
        "level": repeat.level,
        "knobs": list(repeat.knobs),
        "of": earlier.name,
        "of_commit": earlier.entry.commit,
        "of_outcome": earlier.outcome,
        "outcome": row.outcome,
        "justified": bool(repeat.justified_by),
        "justified_by": [f"{knob} ({name})" for knob, name in repeat.justified_by],
    }


def hypotheses(asked: Asked) -> tuple[Rows, bool]:
    """Return what was expected and what became of it, the latest first."""
    wanted, most = asked.text("verdict"), int(asked.number("limit"))

    def rows_of(board: Board) -> Iterator[dict[str, Any]]:
        fitting = (
            (row, verdict)
            for row in reversed(board.rows)
            if row.entry.hypothesis
            and ((verdict := verdict_of(row.entry, row)) == wanted or not wanted)
        )
        for row, verdict in islice(fitting, most + 1):
            yield hypothesis_row(asked, board, row, verdict)

    return campaign_by_campaign(asked, rows_of)


def hypothesis_row(asked: Asked, board: Board, row: Row, verdict: str) -> dict[str, Any]:
    """Return one hypothesis."""
    node = vocab.part(vocab.experiment(row.name), "hypothesis")
    return {
        "experiment": row.name,
        "commit": row.entry.commit,
        "seq": row.entry.seq,
        "hypothesis": asked.graph.value(node, DCT.description),
        "expected": row.entry.expected,
        "delta": row.delta,
        "within_noise": within_noise(row.delta, board.noise),
        "verdict": verdict,
        "outcome": row.outcome,
    }


def best_before(asked: Asked) -> tuple[Rows, bool]:
    """Return the best result before each try of a knob."""
    switch = asked.text("switch")
    fits = condition(switch, asked.text("to")) if asked.given("to") else None

    def rows_of(board: Board) -> Iterator[dict[str, Any]]:
        trials = {t.name: t for key in board.about.get(switch, ()) for t in board.evidence[key]}
        for trial in sorted(trials.values(), key=lambda trial: trial.order):
            if fits is None or fits(trial.new):
                row = board.names[trial.name]
                yield switch_row(row, trial, led(board).get(trial.name))

    return campaign_by_campaign(asked, rows_of)


def led(board: Board) -> dict[str, Row]:
    """Return the best kept experiment before each one, found once per board."""
    if "led" not in board.memo:
        best: dict[Scale, Row] = {}
        found: dict[str, Row] = {}
        for row in board.rows:
            leader, scale, value = best.get(row.entry.scale), row.entry.scale, row.entry.value
            if leader is not None:
                found[row.name] = leader
            than = leader.entry.value if leader else None
            if row.kept and value is not None and (than is None or scale.better(value, than)):
                best[scale] = row
        board.memo["led"] = found
    return dict(board.memo["led"])


def switch_row(row: Row, trial: Trial, leader: Row | None) -> dict[str, Any]:
    """Return one try of a knob with the best before it."""
    return {
        "experiment": row.name,
        "commit": row.entry.commit,
        "seq": row.entry.seq,
        "from": trial.old,
        "to": trial.new,
        "accepted": row.kept,
        "best_before": leader.entry.value if leader else None,
        "best_experiment": leader.name if leader else None,
        "best_commit": leader.entry.commit if leader else None,
    }


def sweeps(asked: Asked) -> tuple[Rows, bool]:
    """Return the runs of attempts that explored one knob in a row."""
    knob, least = asked.text("knob"), asked.number("least")

    def rows_of(board: Board) -> Iterator[dict[str, Any]]:
        for sweep in swept(board):
            if knob in ("", sweep.knob) and len(sweep.rows) >= least:
                yield sweep_row(board, sweep)

    return campaign_by_campaign(asked, rows_of)


def swept(board: Board) -> list[Sweep]:
    """Return the sweeps of a campaign, found once per board."""
    if "sweeps" not in board.memo:
        board.memo["sweeps"] = find_sweeps(board, board.rows)
    return list(board.memo["sweeps"])


def sweep_row(board: Board, sweep: Sweep) -> dict[str, Any]:
    """Return one sweep."""
    trials = [
        trial
        for row in sweep.rows
        for key, trial in board.pairs[row.name]
        if key.knob == sweep.knob
    ]
    best = best_trial(trials, sweep.rows[0].entry.scale.sense) or trials[0]
    return {
        "knob": sweep.knob,
        "n": len(sweep.rows),
        "from_seq": sweep.rows[0].entry.seq,
        "until_seq": sweep.rows[-1].entry.seq,
        "values": [trial.new for trial in trials],
        "improved": sum(trial.outcome == Outcome.IMPROVED for trial in trials),
        "best_delta": best.delta,
        "experiments": [row.name for row in sweep.rows],
        "experiment": best.name,
        "commit": best.commit,
    }
