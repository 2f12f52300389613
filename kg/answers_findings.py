"""Answers about what was learned: improvements under a condition, dead ends, conflicts."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial
from typing import TYPE_CHECKING, Any

from kg import vocab
from kg.answering import Rows, condition, how_failed, limited, mean_delta, within_noise
from kg.board import SEED, Board, EvidenceKey, Outcome, Trial
from kg.conflict import Tried, told_conflict, tried_of, verdict_of
from kg.entries import ATTEMPTED, Edits, edit_of
from kg.query import Asked
from kg.sums import both_sums, last_attempt
from kg.terms import LAB
from kg.totals import Sum
from kg.vocab import Value, value_order

if TYPE_CHECKING:
    from kg.fleet import Conditioned

SHOWN = 20  # experiments listed for one edit; over a fleet there may be thousands


def made_among(board: Board, names: Container[str]) -> dict[Edits, list[tuple[EvidenceKey, Trial]]]:
    """Return the trials of some experiments by edit, whether alone or combined."""
    found: dict[Edits, list[tuple[EvidenceKey, Trial]]] = {}
    for key, trials in board.evidence.items():
        if made := [(key, trial) for trial in trials if trial.name in names]:
            found.setdefault(edit_of(key), []).extend(made)
    return found


def improved_while(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits that improved while a setting held."""
    if asked.campaign is None:
        return fleet_improved_while(asked)
    knob = asked.text("knob")
    fits = condition(knob, asked.text("value"))
    (board,) = asked.boards()
    found = made_among(board, made_while(board, knob, fits))
    direction = asked.text("direction")
    rows = [
        improvement(edit, pairs, board.noise)
        for edit, pairs in found.items()
        if asked.about(edit.component) and direction in ("", edit.direction)
        if any(trial.outcome == Outcome.IMPROVED for _, trial in pairs)
    ]
    return limited(asked, sorted(rows, key=most_improved))


def made_while(board: Board, knob: str, fits: Callable[[Value | None], bool]) -> set[str]:
    """Return the experiments before and in which a setting held: bringing it about is no proof."""
    moved: dict[str, Value | None] = {}
    for key in sorted(board.about.get(knob, ())):
        for trial in board.evidence[key]:
            moved.setdefault(trial.name, trial.old)
    column = board.column(knob).items()
    return {name for name, now in column if fits(now) and fits(moved.get(name, now))}


def most_improved(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what improvements are ordered by."""
    return -row["improved"], row["knob"], row["direction"], row["to"] or "", row["metric"]


def improvement(
    edit: Edits, pairs: list[tuple[EvidenceKey, Trial]], noise: float | None
) -> dict[str, Any]:
    """Return one edit that improved, with how often and by how much."""
    trials = [trial for _, trial in pairs]
    good = [(key, trial) for key, trial in pairs if trial.outcome == Outcome.IMPROVED]
    row = improvement_row(edit, good)
    inside = within_noise(row["best_delta"], noise)
    n = sum(trial.outcome in ATTEMPTED for trial in trials)
    return {**row, "n": n, "mean_delta": mean_delta(trials), "within_noise": inside}


def improvement_row(edit: Edits, good: list[tuple[EvidenceKey, Trial]]) -> dict[str, Any]:
    """Return what is said of an edit by the trials that improved, the best of them first."""
    sign = -1.0 if edit.sense == "max" else 1.0
    ranked = sorted((t for _, t in good), key=lambda t: (sign * (t.delta or 0.0), t.name))
    best = ranked[0]
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "improved": len(good),
        "alone": sum(key.isolated for key, _ in good),
        "best_delta": best.delta,
        "values": sorted({t.new for t in ranked if t.new is not None}, key=value_order),
        "experiments": [trial.name for trial in ranked[:SHOWN]],
        "experiment": best.name,
        "commit": best.commit,
    }


def fleet_improved_while(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits that improved while a setting held, over all campaigns."""
    fleet, knob = asked.graph.fleet(), asked.text("knob")
    held = fleet.held(knob, condition(knob, asked.text("value")), asked.as_of)
    direction = asked.text("direction")
    chosen = [
        (index, edit)
        for index, edit in enumerate(fleet.edits)
        if held.improved[index]
        and asked.about(edit.component)
        and direction in ("", edit.direction)
    ]
    chosen.sort(key=lambda pair: (-held.improved[pair[0]], *by_name(pair[1])))
    most = int(asked.number("limit"))
    return [fleet_improvement(asked, held, *pair) for pair in chosen[:most]], len(chosen) > most


def fleet_improvement(asked: Asked, held: Conditioned, index: int, edit: Edits) -> dict[str, Any]:
    """Return one edit that improved, as `improvement` does for one campaign."""
    good = held.improvements(index)
    best = good.names[0]
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "improved": len(good.names),
        "alone": good.alone,
        "best_delta": good.best,
        "values": sorted(good.values, key=value_order),
        "experiments": good.names[:SHOWN],
        "experiment": best,
        "commit": held.fleet.commits[best],
        "n": int(held.tried[index]),
        "mean_delta": held.mean(index),
        "within_noise": within_noise(good.best, noise_of(asked, best)),
    }


def noise_of(asked: Asked, name: str) -> float | None:
    """Return the noise floor of an experiment's campaign, as far as it counts."""
    if asked.as_of is None:
        return asked.graph.noise(name)
    tag = asked.graph.value(vocab.experiment(name), LAB.inCampaign)
    return asked.graph.board(tag, asked.as_of).noise


def by_name(edit: Edits) -> tuple[str, ...]:
    """Return what edits of equal merit are ordered by."""
    return edit.knob, edit.direction, edit.to, edit.metric


def dead_ends(asked: Asked) -> tuple[Rows, bool]:
    """Return what was tried often enough and never improved anything."""
    least, known = asked.number("least"), both_sums(asked)
    found = [
        (edit, part)
        for edit, part in known.all.items()
        if asked.about(edit.component) and edit.knob != SEED  # chance has no end
        if not part.improved and part.worsened + part.equal + part.crashed >= least
    ]
    found.sort(key=lambda pair: (-attempted(pair[1]), *by_name(pair[0])))
    most = int(asked.number("limit"))
    rows = [dead_end(asked, edit, part, known.alone.get(edit)) for edit, part in found[:most]]
    return rows, len(found) > most


def attempted(part: Sum) -> int:
    """Return how many trials have a known outcome."""
    return part.improved + part.worsened + part.equal + part.crashed


def dead_end(asked: Asked, edit: Edits, part: Sum, isolated: Sum | None) -> dict[str, Any]:
    """Return the sums over one edit, with the attempt that came closest.

    Effects are those of the isolated attempts, where there are any: what a combined attempt cost
    may be due to the edits beside it.
    """
    alone = attempted(isolated) if isolated else 0
    rest = isolated if isolated and alone else part
    closest = rest.best(edit.sense)
    name = closest[1] if closest else last_attempt(asked, edit)
    cited = asked.graph.cite(name) if name else {}
    inside = within_noise(rest.mean, noise_of(asked, closest[1])) if closest else None
    how = how_failed(rest.worsened, rest.equal, rest.crashed)
    reason = "inside the noise" if inside and not rest.crashed else how
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "n": attempted(part),
        "alone": alone,
        "worsened": part.worsened,
        "equal": part.equal,
        "crashed": part.crashed,
        "mean_delta": rest.mean,
        "best_delta": closest[0] if closest else None,
        "within_noise": inside,
        "reason": reason if alone else f"{reason}; never isolated",
        **cited,
    }


def conflicts(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits with opposite outcomes, and what stood differently."""
    if asked.campaign is None:
        return fleet_conflicts(asked)
    wanted = asked.text("knob")
    (board,) = asked.boards()
    edits = set(map(tried_of, board.evidence))
    found = [conflict_row(asked, board, tried) for tried in edits if wanted in ("", tried.knob)]
    return limited(asked, sorted((row for row in found if row), key=clearest))


def clearest(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what conflicts are ordered by."""
    return -min(row["gain"], row["loss"]), row["knob"], row["direction"], row["to"] or ""


def fleet_conflicts(asked: Asked) -> tuple[Rows, bool]:
    """Return the edits with opposite outcomes over all campaigns."""
    wanted = asked.text("knob")
    known, found = both_sums(asked), []
    for edit, part in known.all.items():
        alone = known.alone.get(edit, part)
        gain, loss = (one or any_ for one, any_ in zip(alone.ends[2:], part.ends[2:], strict=True))
        if gain and loss and wanted in ("", edit.knob):
            found.append((min(abs(gain[0]), abs(loss[0])), edit, part, gain, loss))
    found.sort(key=lambda pair: (-pair[0], *by_name(pair[1])))
    most = int(asked.number("limit"))
    rows = [fleet_conflict(asked, *pair[1:]) for pair in found[:most]]
    return rows, len(found) > most


def fleet_conflict(
    asked: Asked, edit: Edits, part: Sum, gain: tuple[float, str], loss: tuple[float, str]
) -> dict[str, Any]:
    """Return one conflict; the contexts are those of what each edit was tried on."""
    graph = asked.graph
    mine, other = graph.context(gain[1]), graph.context(loss[1])
    against = [graph.value(vocab.experiment(one[1]), LAB.comparedWith) for one in (gain, loss)]
    follow = set.union(*map(graph.follow, against))
    knobs = sorted((mine.keys() | other.keys()) - follow - {edit.knob})
    differs = [knob for knob in knobs if mine.get(knob) != other.get(knob)]
    moves = partial(graph.moves, knob=edit.knob, direction=edit.direction)
    worse = graph.cite(loss[1])
    return {
        **edit._asdict(),
        "to": edit.to or None,
        "improved": part.improved,
        "worsened": part.worsened,
        "gain": abs(gain[0]),
        "loss": abs(loss[0]),
        "differs": differs,
        "verdict": verdict_of(bool(differs), not differs and moves(gain[1]) == moves(loss[1])),
        **graph.cite(gain[1]),
        "worsened_experiment": worse["experiment"],
        "worsened_commit": worse["commit"],
    }


def conflict_row(asked: Asked, board: Board, tried: Tried) -> dict[str, Any] | None:
    """Return one conflict, None where outcomes agree."""
    conflict = told_conflict(asked.graph, board, tried, board.noise)
    if conflict is None:
        return None
    good, bad = conflict.improved, conflict.worsened
    gain, loss = abs(good.delta or 0.0), abs(bad.delta or 0.0)
    inside = board.noise is not None and min(gain, loss) <= board.noise
    return {
        "knob": tried.knob,
        "direction": tried.direction,
        "to": tried.to or None,
        "improved": conflict.n_improved,
        "worsened": conflict.n_worsened,
        "gain": gain,
        "loss": loss,
        "differs": list(conflict.differs),
        "verdict": "inside the noise" if inside else conflict.verdict,
        "experiment": good.name,
        "commit": good.commit,
        "worsened_experiment": bad.name,
        "worsened_commit": bad.commit,
    }
