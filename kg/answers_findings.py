"""Answers about what was learned: improvements under a condition, dead ends, conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kg.answering import (
    Rows,
    best_trial,
    condition,
    count,
    limited,
    mean_delta,
    within_noise,
)
from kg.board import Board, EvidenceKey, Outcome, Trial
from kg.conflict import Tried, conflict_of
from kg.query import Asked, select
from kg.vocab import Value

ATTEMPTED = frozenset({Outcome.IMPROVED, Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED})


class Edits(NamedTuple):
    """What answers are grouped by: an edit, on a metric."""

    sense: str
    metric: str
    component: str
    knob: str
    direction: str
    to: str


Found = dict[Edits, list[tuple[EvidenceKey, Trial]]]


def grouped(pairs: Iterable[tuple[EvidenceKey, Trial]], found: Found | None = None) -> Found:
    """Put trials of one edit together, alone or combined, whichever optimizer it touched."""
    found = {} if found is None else found
    for key, trial in pairs:
        edit = Edits(key.sense, key.metric, key.component, key.knob, key.direction, key.to)
        found.setdefault(edit, []).append((key, trial))
    return found


def all_pairs(board: Board) -> Iterator[tuple[EvidenceKey, Trial]]:
    """Yield every trial of a campaign."""
    for key, trials in board.evidence.items():
        for trial in trials:
            yield key, trial


def improved_while(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits that improved while a setting held."""
    knob = asked.text("knob")
    fits = condition(knob, asked.text("value"))
    found: Found = {}
    noise: dict[str, float | None] = {}
    for board in asked.boards():
        held = {row["name"] for row in settings_of(asked, board, knob) if fits(row["setting"])}
        grouped(((k, t) for k, t in all_pairs(board) if t.name in held), found)
        noise.update(dict.fromkeys(held, board.noise))
    component, direction = asked.text("component"), asked.text("direction")
    rows = [
        improvement(edit, pairs, noise)
        for edit, pairs in found.items()
        if component in ("", edit.component) and direction in ("", edit.direction)
        if any(trial.outcome == Outcome.IMPROVED for _, trial in pairs)
    ]
    rows.sort(key=lambda row: (-row["improved"], row["knob"], row["direction"], row["to"] or ""))
    return limited(asked, rows)


def settings_of(asked: Asked, board: Board, knob: str) -> Rows:
    """Return what a knob was set to in each experiment of a campaign."""
    from kg import vocab

    return select(asked, scope=vocab.campaign(board.campaign), setting_of=vocab.knob(knob))


def improvement(
    edit: Edits, pairs: list[tuple[EvidenceKey, Trial]], noise: dict[str, float | None]
) -> dict[str, Any]:
    """Return one edit that improved, with how often and by how much."""
    trials = [trial for _, trial in pairs]
    good = sorted(
        (t for t in trials if t.outcome == Outcome.IMPROVED), key=lambda t: (t.order, t.name)
    )
    best = best_trial(good, edit.sense)
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "n": sum(trial.outcome in ATTEMPTED for trial in trials),
        "improved": len(good),
        "alone": sum(key.isolated and trial in good for key, trial in pairs),
        "mean_delta": mean_delta(trials),
        "best_delta": best.delta if best else None,
        "within_noise": within_noise(best.delta, noise[best.name]) if best else None,
        "values": sorted(
            {t.new for t in good if t.new is not None}, key=lambda v: (str(type(v)), v)
        ),
        "experiments": [trial.name for trial in good],
        "experiment": best.name if best else None,
        "commit": best.commit if best else None,
    }


def value_order(value: Value) -> tuple[str, Value]:
    """Return what values of any kind are ordered by."""
    return ("text" if isinstance(value, str) else "number"), value


def dead_ends(asked: Asked) -> tuple[Rows, bool]:
    """Return what was tried often enough and never improved anything."""
    found: Found = {}
    for board in asked.boards():
        grouped(all_pairs(board), found)
    least, component = asked.number("least"), asked.text("component")
    rows = [
        dead_end(edit, [trial for _, trial in pairs])
        for edit, pairs in found.items()
        if component in ("", edit.component)
    ]
    dead = [row for row in rows if row["n"] >= least and not row["improved"]]
    dead.sort(key=lambda row: (-row["n"], row["knob"], row["direction"], row["to"] or ""))
    return limited(asked, dead)


def dead_end(edit: Edits, trials: list[Trial]) -> dict[str, Any]:
    """Return the sums over one edit, with the attempt that came closest."""
    worsened, equal = count(trials, Outcome.WORSENED), count(trials, Outcome.EQUAL)
    crashed = count(trials, Outcome.CRASHED)
    closest = best_trial(trials, edit.sense) or min(trials, key=lambda trial: trial.order)
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "n": worsened + equal + crashed,
        "improved": count(trials, Outcome.IMPROVED),
        "worsened": worsened,
        "equal": equal,
        "crashed": crashed,
        "mean_delta": mean_delta(trials),
        "best_delta": closest.delta,
        "reason": reason_of(worsened, equal, crashed),
        "experiment": closest.name,
        "commit": closest.commit,
    }


def reason_of(worsened: int, equal: int, crashed: int) -> str:
    """Say how an edit failed: it crashes, worsens, gains nothing, or a mixture."""
    kinds = {"crashes": crashed, "worsens": worsened, "no gain": equal}
    present = [kind for kind, number in kinds.items() if number]
    return present[0] if len(present) == 1 else "mixed: " + ", ".join(present)


def conflicts(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits with opposite outcomes, and what stood differently."""
    wanted = asked.text("knob")
    rows: Rows = []
    for board in asked.boards():
        edits = {Tried(key.knob, key.direction, key.to) for key in board.evidence}
        for tried in sorted(edits):
            if wanted in ("", tried.knob):
                row = conflict_row(board, tried)
                rows += [row] if row else []
    rows.sort(key=lambda row: (-min(row["gain"], row["loss"]), row["knob"], row["direction"]))
    return limited(asked, rows)


def conflict_row(board: Board, tried: Tried) -> dict[str, Any] | None:
    """Return one conflict, None where outcomes agree."""
    conflict = conflict_of(board, tried)
    if conflict is None:
        return None
    good, bad = conflict.improved, conflict.worsened
    gain, loss = abs(good.delta or 0.0), abs(bad.delta or 0.0)
    inside = board.noise is not None and min(gain, loss) <= board.noise
    verdict = "same context: suspect noise" if not conflict.differs else "context differs"
    return {
        "knob": tried.knob,
        "direction": tried.direction,
        "to": tried.to or None,
        "improved": conflict.n_improved,
        "worsened": conflict.n_worsened,
        "gain": gain,
        "loss": loss,
        "differs": list(conflict.differs),
        "verdict": "inside the noise" if inside else verdict,
        "experiment": good.name,
        "commit": good.commit,
        "worsened_experiment": bad.name,
        "worsened_commit": bad.commit,
    }
