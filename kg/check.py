"""Ask before you run: was this tried, what came of it, and what has changed since.

A proposal is compared on three levels: the same program; the same knobs set to the same
values; the same direction failing again and again. The answer is advice with an exit code,
never a block: `nightlab try --force --because` overrules it and the graph keeps the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kg import check_fleet
from kg.amount import ROUNDED
from kg.answering import best_trial
from kg.board import Board, Outcome
from kg.check_alternative import alternative
from kg.check_base import current_settings, home_of
from kg.check_case import FAILED, Case
from kg.check_ideas import Proposal, from_message, from_settings, from_sources
from kg.check_identity import Same, same_program
from kg.check_judge import Finding, judge
from kg.check_labels import Labels
from kg.check_model import (
    EXIT_CODES,
    Advice,
    Advised,
    Alternative,
    Difference,
    Idea,
    Reason,
    shown,
)
from kg.check_near import RESEEDED, only_seed
from kg.check_values import same_edit
from kg.graph import Graph
from kg.vocab import Value

if TYPE_CHECKING:
    from kg.memory import Memory

__all__ = [
    "EXIT_CODES",
    "Advice",
    "Advised",
    "Alternative",
    "Difference",
    "Idea",
    "Reason",
    "check",
    "current_settings",
]

CAMPAIGNS: Final = 4  # judged in full where no campaign is given; a cold board costs 20 ms
GRAVITY: Final = (
    Advised.REPEAT,
    Advised.RETRY_JUSTIFIED,
    Advised.DEAD_END,
    Advised.NEAR,
    Advised.NEW,
)


def check(
    memory: Memory,
    source: str | None,
    accepted: str | None = None,
    *,
    campaign: str | None = None,
    message: str = "",
    as_of: int | None = None,
    noise: float | None = None,
    aliases: Path | None = None,
    scorer: str | None = None,
) -> Advice:
    """Say whether an edit is worth a run, with the experiments that say so.

    Args:
        memory: Where the experiments are.
        source: The edited file; None or "" to judge a message alone.
        accepted: The file it was edited from; default: the settings the memory has of it.
        campaign: The campaign it is for; attempts of others are told as `near`. None judges it in
            every campaign that tried it, a file alone in the campaign it lies nearest to.
        message: What the author says; read for changes only where there is no source.
        as_of: Judge as after experiment N of the campaign.
        noise: Measured noise floor in the metric's units; default: what the memory saw.
        aliases: The user's aliases.toml, for messages.
        scorer: Hash of what would score a run; default: what scored the latest result.

    Raises:
        MemoryBroken, LexiconError: The memory or the aliases cannot be read.
    """
    graph, source = memory.graph(), source or None
    campaign = campaign or graph.lone()
    same = same_program(graph, source, accepted, campaign, as_of, scorer)
    if same.here or same.unchanged:
        return identical(same, campaign)
    campaign, notes = home_of(graph, campaign, source, accepted)
    home = graph.board(campaign, as_of) if campaign else None
    now = current_settings(graph, home, accepted)
    proposal = read(source, accepted, now, message, aliases)
    told = judged(graph, home, proposal, now, noise, everywhere=as_of is None)
    told = replace(told, campaign=campaign, notes=(*notes, *told.notes))
    return raised(told, same.elsewhere, first=True)


def identical(same: Same, campaign: str | None) -> Advice:
    """Return the advice on a program that was run here, or that is the accepted one itself."""
    reasons = same.here or same.elsewhere
    return Advice(Advised.IDENTICAL, reasons, notes=same.notes, campaign=campaign)


def judged(
    graph: Graph,
    home: Board | None,
    proposal: Proposal,
    now: dict[str, Value],
    noise: float | None,
    *,
    everywhere: bool,
) -> Advice:
    """Hold a proposal against its campaign, or against those that know most about it.

    With ``everywhere``, what other campaigns found is told beside its own.
    """
    if not proposal.ideas:
        return untouched(proposal)
    labels, found = Labels(graph), []
    for board in [home] if home else related(graph, proposal.ideas):
        measured = noise is not None or board.threshold is not None
        floor = board.noise if noise is None else noise
        case = Case(board, proposal.ideas, labels, floor, proposal.tolerance, measured)
        found.append((judge(case), case))
    told = weigh(found, proposal, now)
    return with_fleet(graph, told, home.campaign, proposal) if home and everywhere else told


def raised(advice: Advice, more: tuple[Reason, ...], first: bool = False) -> Advice:
    """Add reasons that alone make an edit near to something, never more."""
    if not more:
        return advice
    verdict = Advised.NEAR if advice.verdict is Advised.NEW else advice.verdict
    reasons = (*more, *advice.reasons) if first else (*advice.reasons, *more)
    return replace(advice, verdict=verdict, reasons=reasons)


def read(
    source: str | None,
    accepted: str | None,
    now: dict[str, Value],
    message: str,
    aliases: Path | None,
) -> Proposal:
    """Return the edits of a proposal, from the best that is at hand."""
    if source is None:
        return from_message(message, now, aliases)
    if accepted is None:
        return from_settings(source, now)
    return from_sources(source, accepted, message)


def related(graph: Graph, ideas: Iterable[Idea]) -> list[Board]:
    """Return the boards of the campaigns that know most about some edits.

    First those that tried one of them just so, then those that tried its knob.
    """
    counts: Counter[str] = Counter()
    for idea in ideas:
        for some in check_fleet.edits(graph, idea.knob):
            weight = 1000 if led_to(idea, some, ROUNDED) else 1
            for one in some:
                counts[one.campaign] += weight
    best = sorted(counts, key=lambda tag: (-counts[tag], tag))[:CAMPAIGNS]
    return [graph.board(tag) for tag in best]


def led_to(idea: Idea, some: list[check_fleet.Elsewhere], tolerance: float) -> bool:
    """Tell whether trials of one edit led to the setting an idea leads to."""
    tried = (some[0].key.direction, some[0].trial.new)
    return same_edit(idea.direction, idea.new, *tried, tolerance, idea.knob)


def weigh(found: list[tuple[Finding, Case]], proposal: Proposal, now: dict[str, Value]) -> Advice:
    """Return the gravest finding; where campaigns disagree, all there is to read."""
    if not found:
        told = Advice(Advised.NEW, ideas=proposal.ideas, notes=proposal.notes)
        return raised(told, (RESEEDED,) if only_seed(proposal.ideas) else ())
    ranked = sorted(found, key=lambda pair: GRAVITY.index(pair[0].verdict))
    (worst, case), verdict = ranked[0], ranked[0][0].verdict
    reasons = list(worst.reasons)
    won = [other for other, _ in found if other.won]
    if won and verdict in (Advised.REPEAT, Advised.DEAD_END):
        verdict = Advised.NEAR
        reasons += [reason for other in won for reason in other.reasons[:1]]
    wanted = verdict not in (Advised.NEW, Advised.RETRY_JUSTIFIED)
    return Advice(
        verdict,
        tuple(reasons),
        worst.differences,
        alternative(case, now) if wanted else None,
        proposal.ideas,
        proposal.notes,
        noise=case.noise,
    )


def untouched(proposal: Proposal) -> Advice:
    """Return the advice on a proposal that changes nothing anyone could compare."""
    notes = proposal.notes or ("no change of a knob was found to compare",)
    return Advice(Advised.NEW, notes=notes)


def with_fleet(graph: Graph, advice: Advice, campaign: str, proposal: Proposal) -> Advice:
    """Add what other campaigns found with the same edits; it alone never makes a repeat."""
    labels, more, tolerance = Labels(graph), [], proposal.tolerance
    for idea in proposal.ideas:
        same = [
            one
            for some in check_fleet.edits(graph, idea.knob)
            if led_to(idea, some, tolerance)
            for one in some
            if one.campaign != campaign and one.trial.outcome in (*FAILED, Outcome.IMPROVED)
        ]
        if same:
            more.append(elsewhere(idea, same, labels))
    return raised(advice, tuple(more))


def elsewhere(idea: Idea, same: list[check_fleet.Elsewhere], labels: Labels) -> Reason:
    """Return what became of one edit in other campaigns, metric by metric, with its best one.

    That is the best improvement, else the attempt that came closest to one; of isolated attempts,
    where there are any.
    """
    metrics: dict[tuple[str, str], list[check_fleet.Elsewhere]] = {}
    for one in same:
        metrics.setdefault((one.key.metric, one.key.sense), []).append(one)
    kinds = {scale: check_fleet.telling(found) for scale, found in metrics.items()}

    def rank(scale: tuple[str, str]) -> tuple[bool, int, int, tuple[str, str]]:
        found, how = kinds[scale]
        return how == check_fleet.COMBINED, -improved(found), -len(found), scale

    ranked = sorted(kinds, key=rank)
    parts = [f"{improved(found)} of {len(found)}{how}" for found, how in (kinds[s] for s in ranked)]
    if len(ranked) > 1:
        parts = [f"{part} by {metric}" for part, (metric, _) in zip(parts, ranked, strict=True)]
    metric, sense = ranked[0]
    found = [one.trial for one in kinds[ranked[0]][0]]
    good = [trial for trial in found if trial.outcome == Outcome.IMPROVED]
    trial = best_trial(good or found, sense) or min(found, key=lambda trial: trial.name)
    value = shown(idea.new) if idea.new is not None else idea.direction
    told = f"improved {', '.join(parts)} in other campaigns"
    text = f"{labels(idea.knob)} {value} {told}, such as {trial.name} {trial.commit}".rstrip()
    said = "crashed" if trial.outcome == Outcome.CRASHED else ""
    became = said if trial.delta is None else f"{trial.delta:+.6f} {metric}"
    return Reason(
        trial.name,
        trial.commit,
        f"{text} ({became})" if became else text,
        idea.knob,
        trial.new,
        trial.outcome,
        trial.delta,
    )


def improved(found: Iterable[check_fleet.Elsewhere]) -> int:
    """Return how many attempts improved."""
    return sum(one.trial.outcome == Outcome.IMPROVED for one in found)
