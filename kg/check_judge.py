"""A proposal against one campaign: tried before, tried like this, or failing in this direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kg.board import Outcome, Row
from kg.check_case import FAILED, Case, Tried, reason
from kg.check_context import differences
from kg.check_model import Advised, Difference, Idea, Reason
from kg.check_near import ahead, beside, beyond, clearly_failed, closest, given_up, partly

DEAD_AFTER: Final = 3
"""Isolated failures in one direction that make a dead end. With 2, "depth 10 at the same width"
of the reference run would be called one after a try that was too narrow and one that was too
deep; with 3 there is no false alarm in its 125 experiments."""
DEAD_MEASURED: Final = 1
"""The same where the noise was measured and the failures lie beyond it. In `bench simulation` 3 %
of the dead ends it makes are truly better and none by more than the noise, of new edits 30 % and
16 %; with it a measured night wastes 2.9 runs of 100 fewer (2.4 to 3.4) than one without."""
SHOWN: Final = 3  # experiments a verdict names


@dataclass(slots=True)
class Finding:
    """What one campaign says of a proposal."""

    verdict: Advised
    reasons: list[Reason] = field(default_factory=list)
    differences: tuple[Difference, ...] = ()
    won: bool = False  # the same setting was accepted the last time


def judge(case: Case) -> Finding:
    """Return what a campaign says of a proposal."""
    hits = [{p.trial.name: p for p in case.tried(i.knob) if case.same(i, p)} for i in case.ideas]
    shared = set.intersection(*map(set, hits)) if hits else set()
    wanted = {idea.knob for idea in case.ideas}
    rows = [case.board.names[name] for name in shared if case.knobs(name) == wanted]
    judged = [row for row in rows if row.kept or row.outcome in FAILED]
    exact = sorted(judged, key=lambda row: row.order)
    if exact and not exact[-1].kept:
        return tried_before(case, exact, hits[0])
    dead = dead_end(case)
    if dead is not None:
        return dead
    near = [*given_up(case, exact), *partly(case, hits), *beside(case)]
    if near:
        return Finding(Advised.NEAR, near[:SHOWN], won=bool(exact))
    return Finding(Advised.NEW, closest(case))


def tried_before(case: Case, exact: list[Row], hits: dict[str, Tried]) -> Finding:
    """Return the verdict on what was tried just so and failed the last time."""
    last = exact[-1]
    failed = [row for row in reversed(exact) if not row.kept]
    if case.undecided(failed):
        undecided = [reason(case, hits[row.name], "tried it, undecided") for row in failed]
        return Finding(Advised.NEAR, undecided)
    reasons = [reason(case, hits[row.name], "tried it") for row in failed[:SHOWN]]
    partners = {
        key.knob
        for row in failed
        for key, _ in case.board.pairs.get(row.name, ())
        if len(case.knobs(row.name)) > 1
    }
    found = differences(case.board, case.ideas, last, case.labels, partners)
    justified = any(difference.bears for difference in found)
    return Finding(Advised.RETRY_JUSTIFIED if justified else Advised.REPEAT, reasons, found)


def dead_end(case: Case) -> Finding | None:
    """Return the verdict on a direction that failed again and again, None if it did not.

    Counted are isolated failures beyond the noise since the knob last moved on the accepted
    line; the proposal must go at least as far as the nearest of them. Once the noise was
    measured one is enough.
    """
    walls = [wall_of(case, idea) for idea in case.ideas]
    if not walls or not all(walls):
        return None
    last = max((pair for wall in walls for pair in wall), key=lambda pair: pair.trial.order)
    found = differences(case.board, case.ideas, case.board.names[last.trial.name], case.labels)
    reasons = []
    for idea, wall in zip(case.ideas, walls, strict=True):
        several = f"is the last of {len(wall)} failures to {idea.direction} it, none improved"
        told = several if len(wall) > 1 else "failed going less far, beyond the measured noise"
        reasons += [reason(case, pair, told) for pair in wall[:-2:-1]]
        reasons += [reason(case, pair, "failed too") for pair in wall[-2 : -SHOWN - 1 : -1]]
    justified = any(difference.bears for difference in found)
    return Finding(Advised.RETRY_JUSTIFIED if justified else Advised.DEAD_END, reasons, found)


def wall_of(case: Case, idea: Idea) -> list[Tried]:
    """Return the failures that make an idea's direction a dead end, none if it is not."""
    if idea.direction not in ("increase", "decrease"):
        return []
    attempts = ahead(case, idea)
    failed = [pair for pair in attempts if pair.key.isolated and clearly_failed(case, pair)]
    improved = any(pair.trial.outcome == Outcome.IMPROVED for pair in attempts)
    if len(failed) < (DEAD_MEASURED if case.measured else DEAD_AFTER) or improved:
        return []
    return failed if idea.new is None or beyond(idea, failed) else []
