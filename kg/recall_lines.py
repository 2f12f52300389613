"""The lines of a digest: failures with an alternative, wins, conflicts, what was never tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from kg import check_fleet
from kg.answering import best_trial, count, how_failed, within_noise
from kg.board import SEED, EvidenceKey, Outcome, Trial
from kg.check_alternative import alternative
from kg.check_case import FAILED, Case
from kg.check_case import Tried as Pair
from kg.check_model import Idea, shown
from kg.check_values import same_value, unnamed
from kg.conflict import Conflict, Tried, told_conflict, tried_of
from kg.knobs import component_of
from kg.recall_scene import Scene

KINDS: Final = ("now", "failed", "won", "conflict", "untried", "elsewhere")
CITED: Final = 3  # experiments a line names at the most
TOLD: Final = (*FAILED, Outcome.IMPROVED)
ASKED: Final = 3  # knobs of the idea that other campaigns are asked about


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a digest and the experiments it cites."""

    kind: str
    text: str
    experiments: tuple[str, ...]
    activation: float


@dataclass(slots=True)
class Chunk:
    """One edit as it is remembered: all attempts at it, and how active it is."""

    tried: Tried
    component: str
    pairs: list[tuple[EvidenceKey, Trial]]
    level: float = 0.0
    conflict: Conflict | None = None  # beyond the noise

    def with_outcome(self, *outcomes: str) -> list[Pair]:
        """Return the attempts that came out so, isolated ones first, then the latest."""
        found = [Pair(*pair) for pair in self.pairs if pair[1].outcome in outcomes]
        return sorted(found, key=lambda pair: (pair.key.isolated, pair.trial.order), reverse=True)


def head_line(scene: Scene) -> Line:
    """Return where the campaign stands."""
    board = scene.board
    row = board.accepted or board.rows[-1]
    value, leader = row.entry.value, board.best.get(row.entry.scale)
    result = "" if value is None else f"{row.entry.scale.metric} {value:.6g}; "
    if value is None and leader is not None:
        best = f"{leader.entry.scale.metric} {leader.entry.value or 0.0:.6g}"
        result = f"not measured, best {best} {leader.name}; "
    tried, kept = board.counts
    counts = f"{result}{tried} tried, {kept} kept"
    floor = "noise not measured" if scene.noise is None else f"noise {scene.noise:.2g}"
    text = f"now {row.name} {row.entry.commit}".rstrip() + f": {counts}; {floor}"
    if short(scene, row.name, row.entry.seq) != row.name:
        text += "; #N below is its experiment N"
    return Line("now", text, (row.name,), 0.0)


def lines_of(scene: Scene) -> dict[str, Iterator[Line]]:
    """Return the lines of each kind, the most active first; they are made as they are wanted."""
    chunks = sorted(chunks_of(scene), key=lambda chunk: (-chunk.level, chunk.tried))
    return {
        "failed": (line for c in chunks if (line := failed_line(scene, c))),
        "won": (line for c in chunks if (line := won_line(scene, c))),
        "conflict": (line for c in chunks if (line := conflict_line(scene, c))),
        "untried": by_activation(untried_lines(scene)),
        "elsewhere": by_activation(fleet_lines(scene)),
    }


def by_activation(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines, the most active first."""
    yield from sorted(lines, key=lambda line: (-line.activation, line.text))


def chunks_of(scene: Scene) -> Iterator[Chunk]:
    """Yield the edits of a campaign with their activation."""
    found: dict[Tried, Chunk] = {}
    for key, trials in scene.board.evidence.items():
        if key.knob == SEED or (unnamed(key.knob) and component_of(key.knob) == "other"):
            continue  # another seed is noise, an edit without a name tells nothing
        tried = tried_of(key)
        chunk = found.setdefault(tried, Chunk(tried, key.component, []))
        chunk.pairs += [(key, trial) for trial in trials]
    for tried, chunk in found.items():
        chunk.level = scene.level(*tried, [trial for _, trial in chunk.pairs])
        chunk.conflict = real_conflict(scene, tried)
        yield chunk


def failures(scene: Scene, chunk: Chunk) -> list[Pair]:
    """Return the attempts since the edit last helped that were not accepted.

    What was accepted with other edits, or inside the noise, does not show that it helped: four
    isolated failures of +0.05 had been hidden by two combined wins of less than the noise.
    """
    names = scene.board.names
    good = [
        pair.trial.order
        for pair in chunk.with_outcome(Outcome.IMPROVED)
        if pair.key.isolated and within_noise(pair.trial.delta, scene.noise) is not True
    ]
    since = max(good, default=(-1, ""))
    found = chunk.with_outcome(*FAILED)
    return [p for p in found if p.trial.order > since and not names[p.trial.name].kept]


def failed_line(scene: Scene, chunk: Chunk) -> Line | None:
    """Return how an edit failed since it last helped, if ever, and what to try instead."""
    bad = failures(scene, chunk)
    if not bad:
        return None
    alone = any(key.isolated for key, _ in chunk.pairs)
    trials = [pair.trial for pair in bad]
    failed = (count(trials, kind) for kind in (Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED))
    how = how_failed(*failed) + ("" if alone else "; never isolated")
    cited = ", ".join(cite(scene, *pair) for pair in bad[:CITED])
    text = f"failed: {name_of(scene, chunk)} {len(bad)}x ({how}): {cited}"
    old, new = trials[0].old, trials[0].new
    idea = Idea(chunk.tried.knob, chunk.component, chunk.tried.direction, old, new)
    instead = alternative(Case(scene.board, (idea,), scene.labels, scene.noise), scene.now)
    if instead is not None:
        text += f"; instead {instead.text}"
    return line_about(chunk, "failed", text, trials[:CITED])


def won_line(scene: Scene, chunk: Chunk) -> Line | None:
    """Return an edit that was accepted."""
    good = chunk.with_outcome(Outcome.IMPROVED)
    if not good or chunk.conflict:
        return None
    cited = ", ".join(cite(scene, *pair) for pair in good[:CITED])
    text = f"won: {name_of(scene, chunk)} {len(good)}x: {cited}"
    return line_about(chunk, "won", text, [pair.trial for pair in good[:CITED]])


def real_conflict(scene: Scene, tried: Tried) -> Conflict | None:
    """Return the opposite outcomes of an edit, None where one of them is inside the noise.

    They are worked out once for a board: 47 of them take 4 ms of a recall's 23.
    """
    known: dict[Tried, Conflict | None] = scene.board.memo.setdefault(f"over {scene.noise}", {})
    if tried not in known:
        found = told_conflict(scene.graph, scene.board, tried, scene.noise)
        pair = (found.improved, found.worsened) if found else ()
        inside = any(within_noise(trial.delta, scene.noise) for trial in pair)
        known[tried] = None if inside else found
    return known[tried]


def conflict_line(scene: Scene, chunk: Chunk) -> Line | None:
    """Return an edit that helped once and hurt once, and what stood differently."""
    conflict = chunk.conflict
    if conflict is None:
        return None
    pair = [conflict.improved, conflict.worsened]
    differs = [scene.labels(knob) for knob in conflict.differs]
    if differs:
        rest = f" and {len(differs) - CITED} more" if len(differs) > CITED else ""
        context = f"differed: {', '.join(differs[:CITED])}{rest}"
    else:
        context = conflict.verdict
    counts = f"{conflict.n_improved} better, {conflict.n_worsened} worse"
    told = zip(pair, conflict.alone, strict=True)
    cited = " against ".join(cite_trial(scene, trial, alone=alone) for trial, alone in told)
    text = f"conflict: {name_of(scene, chunk)} {counts}: {cited}; {context}"
    return line_about(chunk, "conflict", text, pair)


def untried_lines(scene: Scene) -> Iterator[Line]:
    """Yield the numbers of the file nobody has moved, or only one way."""
    accepted = scene.board.accepted
    if accepted is None:
        return
    known = {row.name: row for row in scene.board.rows}
    here = " here" if len(scene.graph.campaigns()) > 1 else ""
    for knob, value in scene.now.items():
        if isinstance(value, str) or knob == SEED or component_of(knob) in ("other", "evaluation"):
            continue
        ways = {key.direction for key in scene.board.about.get(knob, ())} & {"increase", "decrease"}
        if len(ways) == 2:
            continue
        spans = scene.board.regimes.get(knob)
        row = known.get(spans[-1].by, accepted) if spans else accepted
        way = (
            f"no attempt to {({'increase', 'decrease'} - ways).pop()} it" if ways else "never moved"
        ) + here
        held = spans[-1].value if spans else value
        edited = "" if same_value(held, value) else f", {shown(value)} in the file"
        cited = f"{short(scene, row.name, row.entry.seq)} {row.entry.commit}".rstrip()
        text = f"untried: {scene.labels(knob)} {shown(held)} since {cited}{edited}: {way}"
        yield Line("untried", text, (row.name,), scene.interest(knob))


def fleet_lines(scene: Scene) -> Iterator[Line]:
    """Yield what other campaigns found with the knobs of the idea, each metric for itself."""
    home = (scene.board.accepted or scene.board.rows[-1]).entry.scale[:2]
    for knob in scene.idea[:ASKED]:
        ways: dict[tuple[str, str, str], list[check_fleet.Elsewhere]] = {}
        for one in [] if unnamed(knob) else check_fleet.attempts(scene.graph, knob):
            if one.campaign != scene.board.campaign and one.trial.outcome in TOLD:
                way = (one.key.direction, one.key.metric, one.key.sense)
                ways.setdefault(way, []).append(one)
        for (direction, *scale), found in sorted(ways.items()):
            found, told = check_fleet.telling(found)
            good = [one.trial for one in found if one.trial.outcome == Outcome.IMPROVED]
            best = best_trial(good or [one.trial for one in found], scale[1])
            what = "best" if good else "closest" if best else "crashed"
            best = best or min((one.trial for one in found), key=lambda trial: trial.name)
            tags = len({one.campaign for one in found})
            other = "" if tuple(scale) == home else f" {scale[0]}"
            shown_in = scene if not other else replace(scene, noise=None)  # noise is a metric's own
            text = (
                f"elsewhere: {scene.labels(knob)} {direction}: {len(good)} of {len(found)} improved"
                f"{told}{other} in {tags} campaign{'s' * (tags > 1)},"
                f" {what} {cite_trial(shown_in, best, alone=True)}"
            )
            yield Line("elsewhere", text, (best.name,), scene.interest(knob))


def name_of(scene: Scene, chunk: Chunk) -> str:
    """Return an edit in words: ``embedding learning rate increase``."""
    tried = chunk.tried
    to = f" to {shown(tried.to)}" if tried.to else ""
    return f"{scene.labels(tried.knob)} {tried.direction}{to}"


def cite(scene: Scene, key: EvidenceKey, trial: Trial) -> str:
    """Return one attempt in short, with whether other edits were made in it."""
    return cite_trial(scene, trial, alone=key.isolated)


def cite_trial(scene: Scene, trial: Trial, *, alone: bool) -> str:
    """Return one attempt in short: value, experiment, commit, effect, what it says of it."""
    new = "" if trial.new is None else f"{shown(trial.new)[:24]} "
    text = f"{new}{short(scene, trial.name, trial.seq)} {trial.commit}".rstrip()
    if trial.delta is not None:
        text += f" {trial.delta:+.2g}"
    marks = ["noise"] if within_noise(trial.delta, scene.noise) else []
    marks += [] if alone else ["combined"]
    return f"{text} ({', '.join(marks)})" if marks else text


def short(scene: Scene, name: str, seq: int) -> str:
    """Return `#47` for the campaign's experiment 47: a name in full costs ten tokens more."""
    return f"#{seq}" if name == f"{scene.board.campaign}-{seq:04d}" else name


def line_about(chunk: Chunk, kind: str, text: str, trials: Iterable[Trial]) -> Line:
    """Return a line about an edit."""
    return Line(kind, text, tuple(trial.name for trial in trials), chunk.level)
