"""An experiment as triples: what its record and its sources say, and nothing else.

Every IRI is derived from content, there are no blank nodes and every subject begins with the
experiment's IRI (but for the few shared nodes of `shared_quads`), so adding twice adds nothing
and what belongs to an experiment can be told from its IRI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.edit import Edit
from kg.facts import Facts, Reader, Saying, read_facts
from kg.model import Status
from kg.quads import Object, about, double, number, text, time, typed
from kg.record import ExperimentRecord
from kg.shared import shared_quads
from kg.terms import DCT, LAB, MLS, PROV, RDF
from kg.vocab import clean


def experiment_quads(record: ExperimentRecord, reader: Reader | None = None) -> list[Quad]:
    """Return what one record says as quads: a pure function, fit for a pool of processes.

    What depends on other experiments (deltas, evidence, regimes, repeats) is kg.derive's.
    """
    return facts_quads(read_facts(record, reader))


def facts_quads(facts: Facts) -> list[Quad]:
    """Return one experiment's quads, those of the nodes it shares with others included."""
    return [*own_quads(facts), *shared_quads(facts)]


def own_quads(facts: Facts) -> list[Quad]:
    """Return the quads that are about one experiment alone."""
    record = facts.record
    node = vocab.experiment(record.name)
    quads: list[Quad] = []
    quads += about(node, run_pairs(facts))
    quads += about(vocab.part(node, "code"), code_pairs(facts))
    quads += about(vocab.part(node, "evaluation"), evaluation_pairs(facts))
    for key, reading in sorted(record.summary.items()):
        quads += measured(node, key, reading)
    for held in facts.settings:
        predicate = vocab.knob(held.knob)
        quads.append(Quad(node, predicate, vocab.literal(held.value)))
        if held.inert:
            quads.append(Quad(node, LAB.inert, predicate))
        if held.follows:
            quads.append(Quad(node, LAB.follows, predicate))
    quads += edit_quads(node, "change", LAB.hasChange, facts.changes, facts.from_text)
    if facts.net is not None:
        quads += edit_quads(node, "net", LAB.hasNetChange, facts.net, False)
    quads += claim_quads(node, facts.saying)
    quads += hypothesis_quads(node, facts)
    return quads


def run_pairs(facts: Facts) -> Iterator[tuple[NamedNode, Object | None]]:
    """Yield what is said of the experiment itself."""
    record = facts.record
    node = vocab.experiment(record.name)
    yield from ((RDF.type_, kind) for kind in (LAB.Experiment, MLS.Run, PROV.Activity))
    yield LAB.name, Literal(clean(record.name))
    yield LAB.inCampaign, vocab.campaign(record.campaign)
    yield LAB.seq, Literal(record.seq)
    yield LAB.status, status_node(record.status)
    yield LAB.reason, text(record.reason)
    yield DCT.description, text(record.description)
    yield LAB.metric, Literal(clean(record.metric))
    yield LAB.sense, Literal(clean(record.direction))
    value = None if record.status is Status.CRASH else double(record.value)
    yield LAB.value, value
    yield MLS.hasOutput, None if value is None else vocab.part(node, "evaluation")
    yield LAB.commit, text(record.commit)
    yield LAB.shortCommit, text(record.commit[:7])
    yield LAB.parent, vocab.experiment(record.parent) if record.parent else None
    yield LAB.parentCommit, text(record.parent_commit)
    yield LAB.task, vocab.task(record.task) if record.task else None
    yield PROV.wasAssociatedWith, vocab.agent(record.agent) if record.agent else None
    yield PROV.startedAtTime, time(record.started)
    yield PROV.endedAtTime, time(record.ended)
    yield LAB.seed, number(record.seed)
    yield LAB.device, text(record.device)
    yield LAB.isolation, text(record.isolation)
    yield LAB.manifest, text(record.manifest)
    yield LAB.scorer, text(record.scorer)
    yield LAB.origin, text(record.origin)
    yield LAB.forcedBecause, text(record.forced_because)
    yield LAB.digest, Literal(facts.digest)
    yield LAB.fingerprint, text(facts.fingerprint)
    yield PROV.used, vocab.part(vocab.experiment(record.parent), "code") if record.parent else None
    yield PROV.generated, vocab.part(node, "code")


def status_node(status: Status) -> NamedNode:
    """Return the node of a verdict."""
    return {Status.KEEP: LAB.keep, Status.DISCARD: LAB.discard, Status.CRASH: LAB.crash}[status]


def code_pairs(facts: Facts) -> Iterator[tuple[NamedNode, Object | None]]:
    """Yield what is said of the version of the target file."""
    record = facts.record
    node = vocab.experiment(record.name)
    yield RDF.type_, LAB.CodeSnapshot
    yield RDF.type_, PROV.Entity
    yield LAB.commit, text(record.commit)
    yield LAB.lines, number(facts.lines)
    yield LAB.nodes, number(facts.nodes)
    yield LAB.linesAdded, number(facts.lines_added)
    yield LAB.nodesAdded, number(facts.nodes_added)
    yield PROV.wasGeneratedBy, node
    if record.parent:
        yield PROV.wasDerivedFrom, vocab.part(vocab.experiment(record.parent), "code")
    for edit, ordinal in numbered(facts.changes):
        yield PROV.qualifiedDerivation, edit_node(node, "change", edit, ordinal)
    if record.status is not Status.KEEP:
        yield PROV.invalidatedAtTime, time(record.ended)
        yield PROV.wasInvalidatedBy, node


def evaluation_pairs(facts: Facts) -> Iterator[tuple[NamedNode, Object | None]]:
    """Yield the metric as ML-Schema has it, nothing where there is no value."""
    record = facts.record
    value = double(record.value)
    if value is not None and record.status is not Status.CRASH:
        yield RDF.type_, MLS.ModelEvaluation
        yield MLS.specifiedBy, vocab.measure(record.metric)
        yield MLS.hasValue, value


def measured(node: NamedNode, key: str, value: float) -> Iterator[Quad]:
    """Yield one line of the summary block as an evaluation."""
    result = double(value)
    if result is None:
        return
    output = vocab.part(node, "summary", key)
    yield Quad(node, MLS.hasOutput, output)
    yield Quad(output, RDF.type_, MLS.ModelEvaluation)
    yield Quad(output, MLS.specifiedBy, vocab.measure(key))
    yield Quad(output, MLS.hasValue, result)


def numbered(edits: Iterable[Edit]) -> Iterator[tuple[Edit, int]]:
    """Yield edits with 1 for the first one of a knob, 2 for the second."""
    seen: dict[str, int] = {}
    for edit in edits:
        seen[edit.change.knob] = seen.get(edit.change.knob, 0) + 1
        yield edit, seen[edit.change.knob]


def edit_node(node: NamedNode, kind: str, edit: Edit, ordinal: int) -> NamedNode:
    """Return the IRI of a change, ``<experiment>/change/model.depth``."""
    tail = [] if ordinal == 1 else [str(ordinal)]
    return vocab.part(node, kind, edit.change.knob, *tail)


def edit_quads(
    node: NamedNode, kind: str, link: NamedNode, edits: tuple[Edit, ...], from_text: bool
) -> Iterator[Quad]:
    """Yield the changes of an experiment."""
    isolated = sum(edit.counts for edit in edits) == 1
    for edit, ordinal in numbered(edits):
        change = edit_node(node, kind, edit, ordinal)
        yield Quad(node, link, change)
        yield Quad(change, LAB.changeOf, node)
        yield Quad(change, LAB.isolated, Literal(isolated and edit.counts))
        if from_text:
            yield Quad(change, LAB.fromText, Literal(True))
        yield from about(change, change_pairs(edit))


def change_pairs(edit: Edit) -> Iterator[tuple[NamedNode, Object | None]]:
    """Yield what is said of one change."""
    change = edit.change
    yield RDF.type_, LAB.Change
    yield RDF.type_, PROV.Derivation
    yield LAB.knob, vocab.knob(change.knob)
    yield LAB.component, vocab.component(change.component)
    yield LAB.changeType, Literal(str(change.change_type))
    yield LAB.direction, Literal(edit.direction)
    yield LAB.optimizerScope, Literal(str(change.optimizer_scope))
    yield LAB.oldValue, typed(edit.old)
    yield LAB.newValue, typed(edit.new)
    yield LAB.oldText, text(change.old)
    yield LAB.newText, text(change.new)
    yield LAB.silent, Literal(change.silent)
    yield LAB.effective, None if change.effective is None else Literal(change.effective)
    yield LAB.path, text(change.path)
    yield LAB.oldLines, lines(change.old_span)
    yield LAB.newLines, lines(change.new_span)
    yield LAB.overriddenAt, number(change.overridden_at)


def lines(span: tuple[int, int] | None) -> Literal | None:
    """Return a span as ``12-14``."""
    return Literal(f"{span[0]}-{span[1]}") if span else None


def claim_quads(node: NamedNode, saying: Saying) -> Iterator[Quad]:
    """Yield what the message says was changed, apart from what the diff shows."""
    yield from about(node, [(LAB.agreement, text(saying.agreement))])
    for words in saying.unresolved:
        yield Quad(node, LAB.unresolved, Literal(clean(words)))
    for index, claim in enumerate(saying.claims):
        change = claim.change
        stated = vocab.part(node, "claim", f"{index:02d}", change.knob)
        yield Quad(node, LAB.states, stated)
        pairs: list[tuple[NamedNode, Object | None]] = [
            (RDF.type_, LAB.Claim),
            (LAB.knob, vocab.knob(change.knob)),
            (LAB.changeType, Literal(str(change.change_type))),
            (LAB.oldText, text(change.old)),
            (LAB.newText, text(change.new)),
            (LAB.agrees, None if claim.agrees is None else Literal(claim.agrees)),
            (LAB.method, text(claim.method)),
            (LAB.score, double(claim.score)),
            (LAB.lexiconVersion, text(claim.lexicon)),
            (LAB.tableVersion, text(claim.table)),
        ]
        yield from about(stated, pairs)


def hypothesis_quads(node: NamedNode, facts: Facts) -> Iterator[Quad]:
    """Yield what the agent expected before the run."""
    record = facts.record
    if not record.hypothesis and record.expected_delta is None:
        return
    hypothesis = vocab.part(node, "hypothesis")
    yield Quad(node, LAB.tests, hypothesis)
    yield Quad(hypothesis, RDF.type_, LAB.Hypothesis)
    yield Quad(hypothesis, RDF.type_, PROV.Entity)
    yield Quad(hypothesis, LAB.inCampaign, vocab.campaign(record.campaign))
    pairs = [
        (DCT.description, text(record.hypothesis)),
        (LAB.expectedDelta, double(record.expected_delta)),
    ]
    yield from about(hypothesis, pairs)
