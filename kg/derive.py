"""One step of a campaign as triples: what an experiment adds to and takes from the graph.

The state before a step determines the triples it replaces, so nothing has to be read back to
be removed, and a step yields the same triples whether it runs at midnight or in a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.board import (
    Board,
    Entry,
    EvidenceKey,
    Outcome,
    Regime,
    Row,
    Trial,
)
from kg.conflict import conflict_quads, tried_of
from kg.edit import APART
from kg.evidence import sum_quads, trial_quads
from kg.outcome import completed, row_of, trials_of, turn
from kg.packed import pack_row
from kg.quads import about, double, text, typed
from kg.repeats import Repeat, repeat_of
from kg.standing import pack_standing
from kg.sweep import sweep_quads
from kg.tally import tally_keys
from kg.terms import LAB, PROV, RDF


class Patch:
    """What to add to a graph and what to remove from it, told step by step.

    A quad whose first mention is a removal was in the graph before, one whose first mention is
    an addition was not: only the difference between before and after is written.
    """

    def __init__(self) -> None:
        self.before: set[Quad] = set()
        self.after: dict[Quad, bool] = {}
        self.keys: set[EvidenceKey] = set()  # whose sums over campaigns are stale

    def add(self, quads: Iterable[Quad]) -> None:
        """Add quads."""
        for quad in quads:
            self.after[quad] = True

    def remove(self, quads: Iterable[Quad]) -> None:
        """Remove quads."""
        for quad in quads:
            if quad not in self.after:
                self.before.add(quad)
            self.after[quad] = False

    @property
    def added(self) -> set[Quad]:
        """Return the quads that are there afterwards and were not before."""
        return {quad for quad, there in self.after.items() if there and quad not in self.before}

    @property
    def removed(self) -> set[Quad]:
        """Return the quads that were there before and are not afterwards."""
        return {quad for quad in self.before if not self.after[quad]}


def step(board: Board, entry: Entry, patch: Patch) -> Row:
    """Let one experiment happen: advance the board and patch the graph."""
    campaign = vocab.campaign(board.campaign)
    entry = completed(board, entry)
    row = row_of(board, entry)
    trials = trials_of(entry, row)
    repeat = repeat_of(board, row, trials)
    keys = [key for key, _ in trials]
    touched = sorted(set(map(tried_of, keys)))
    patch.add(outcome_quads(board, entry, row))
    patch.add(inferred_quads(entry))
    patch.remove(summary_quads(campaign, board))
    patch.remove(quad for tried in touched for quad in conflict_quads(campaign, board, tried))
    patch.remove(quad for key in keys for quad in sum_quads(campaign, board, key))
    patch.remove(sweep_quads(campaign, board, {key.knob for key in keys}))
    told = None if row.attempt and entry.value is not None and not board.measured else entry
    patch.remove(tally_quads(campaign, board, told))
    board.note(row)
    board.count(row, trials)
    for before, after in turn(board, entry):
        if before is not None:
            patch.remove(regime_quads(campaign, before))
        patch.add(regime_quads(campaign, after))
    patch.add(quad for key in keys for quad in sum_quads(campaign, board, key))
    patch.add(trial_quads(campaign, trials))
    patch.add(quad for tried in touched for quad in conflict_quads(campaign, board, tried))
    patch.add(sweep_quads(campaign, board))
    patch.add(tally_quads(campaign, board, told))
    patch.add(summary_quads(campaign, board))
    patch.add([Quad(campaign, LAB.logRow, pack_row(row))])
    if repeat is not None:
        patch.add(repeat_quads(campaign, repeat))
    patch.keys.update(keys)
    return row


def outcome_quads(board: Board, entry: Entry, row: Row) -> Iterator[Quad]:
    """Yield what is said of an experiment in the light of those before it."""
    node = vocab.experiment(row.name)
    leader = board.best.get(entry.scale)
    pairs: list[tuple[NamedNode, NamedNode | Literal | None]] = [
        (LAB.outcome, Literal(row.outcome)),
        (LAB.delta, double(row.delta)),
        (LAB.comparedWith, vocab.experiment(row.compared) if row.compared else None),
        (LAB.previous, vocab.experiment(board.rows[-1].name) if board.rows else None),
        (LAB.bestBefore, double(leader.entry.value) if leader else None),
        (LAB.bestBeforeBy, vocab.experiment(leader.name) if leader else None),
    ]
    pairs += [(LAB.reverts, vocab.experiment(found.name)) for found in undone(board, entry)]
    yield from about(node, pairs)
    if entry.hypothesis:
        hypothesis = vocab.part(node, "hypothesis")
        yield Quad(hypothesis, LAB.verdict, Literal(verdict_of(entry, row)))


def inferred_quads(entry: Entry) -> Iterator[Quad]:
    """Yield the settings an experiment must have had, where its source is lost."""
    if not entry.lost or entry.settings is None:
        return
    node = vocab.experiment(entry.name)
    yield Quad(node, LAB.inferred, Literal(True))
    for knob, value in entry.settings:
        yield Quad(node, vocab.knob(knob), vocab.literal(value))


def left(board: Board, entry: Entry) -> Iterator[Row]:
    """Yield the experiments between one and its ancestor with the same program: it undoes them."""
    found: dict[str, Row] = {}
    row = board.names.get(entry.parent or "") if entry.fingerprint else None
    while row is not None and row.name not in found:
        if row.entry.fingerprint == entry.fingerprint:
            yield from (one for one in reversed(found.values()) if one.attempt)
            return
        found[row.name] = row
        row = board.names.get(row.entry.parent or "")


def undone(board: Board, entry: Entry) -> Iterator[Trial | Row]:
    """Yield the latest earlier edit that each edit of an experiment takes back exactly.

    Of what puts an earlier program back that is all that came in between.
    """
    if entry.apart == Outcome.LINEAGE:
        found = list(left(board, entry))
        if found:
            yield from found
            return
    for tried in entry.tries:
        last = board.latest.get(tried.knob)
        if last and (last.old, last.new) == (tried.new, tried.old) and last.old != last.new:
            yield last


def verdict_of(entry: Entry, row: Row) -> str:
    """Say what became of a hypothesis: supported, refuted, open or untested."""
    if row.delta is None or row.outcome in (Outcome.CRASHED, *APART):
        return "untested"
    if entry.expected:
        return "supported" if entry.expected * row.delta > 0 else "refuted"
    if row.outcome == Outcome.EQUAL:
        return "open"
    return "supported" if row.outcome == Outcome.IMPROVED else "refuted"


def summary_quads(campaign: NamedNode, board: Board) -> Iterator[Quad]:
    """Yield the counts of a campaign, its best and its accepted experiment."""
    if not board.rows:
        return
    tally, (attempts, kept) = board.tally, board.counts
    yield from about(
        campaign,
        [
            (LAB.experiments, Literal(attempts)),
            (LAB.kept, Literal(kept)),
            (LAB.discarded, Literal(tally["discard"])),
            (LAB.crashes, Literal(tally["crash"])),
            (LAB.seconds, double(float(f"{board.spent:.12g}"))),
            (LAB.noiseFloor, double(board.seen_noise)),
            (LAB.baseline, vocab.experiment(board.rows[0].name)),
            (LAB.accepted, vocab.experiment(board.accepted.name) if board.accepted else None),
            (LAB.standing, pack_standing(board)),
        ],
    )
    for leader in board.best.values():
        yield Quad(campaign, LAB.best, vocab.experiment(leader.name))


def tally_quads(campaign: NamedNode, board: Board, entry: Entry | None) -> Iterator[Quad]:
    """Yield what the agent and the task of an experiment have to show for, of None everybody's."""
    for key in sorted(board.tallies) if entry is None else tally_keys(entry):
        tally = board.tallies.get(key)
        if tally is None:
            continue
        attempts, kept = tally.counts(board.measured)
        yield from about(
            vocab.part(campaign, "tally", *key),
            [
                (RDF.type_, LAB.Tally),
                (LAB.tallyIn, campaign),
                (LAB.tallyOf, Literal(key.field)),
                (LAB.name, text(key.name)),
                (LAB.metric, text(key.metric)),
                (LAB.sense, text(key.sense)),
                (LAB.experiments, Literal(attempts)),
                (LAB.kept, Literal(kept)),
                (LAB.crashes, Literal(tally.crashed)),
                (LAB.seconds, double(float(f"{tally.seconds:.12g}"))),
                (LAB.best, vocab.experiment(tally.leader.name) if tally.leader else None),
            ],
        )


def regime_quads(campaign: NamedNode, regime: Regime) -> Iterator[Quad]:
    """Yield one regime: a setting that held from one accepted experiment to another."""
    node = vocab.part(campaign, "regime", regime.knob, regime.by)
    yield from about(
        node,
        [
            (RDF.type_, LAB.Regime),
            (RDF.type_, PROV.Entity),
            (LAB.regimeIn, campaign),
            (LAB.knob, vocab.knob(regime.knob)),
            (LAB.held, typed(regime.value)),
            (LAB.fromSeq, Literal(regime.since)),
            (PROV.wasGeneratedBy, vocab.experiment(regime.by)),
            (LAB.untilSeq, None if regime.until is None else Literal(regime.until)),
            (
                PROV.wasInvalidatedBy,
                vocab.experiment(regime.ended_by) if regime.ended_by else None,
            ),
        ],
    )


def repeat_quads(campaign: NamedNode, repeat: Repeat) -> Iterator[Quad]:
    """Yield one repeat: an experiment that tried again what an earlier one had tried."""
    node = vocab.part(campaign, "repeat", repeat.row.name)
    this, earlier = vocab.experiment(repeat.row.name), vocab.experiment(repeat.earlier.name)
    yield Quad(this, LAB.repeats, earlier)
    yield from about(
        node,
        [
            (RDF.type_, LAB.Repeat),
            (LAB.repeatIn, campaign),
            (LAB.repeatBy, this),
            (LAB.repeatOf, earlier),
            (LAB.level, Literal(repeat.level)),
            (LAB.justified, Literal(bool(repeat.justified_by))),
            *((LAB.knob, vocab.knob(knob)) for knob in repeat.knobs),
            *((LAB.justifiedBy, vocab.experiment(name)) for _, name in repeat.justified_by),
            *((LAB.changedSince, vocab.knob(knob)) for knob, _ in repeat.justified_by),
        ],
    )
