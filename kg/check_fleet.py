"""The same edit in other campaigns: their attempts at a knob, and programs known anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from pyoxigraph import Literal, NamedNode

from kg import vocab
from kg.board import EvidenceKey, Trial
from kg.edit import APART
from kg.graph import Graph, plain
from kg.load import subjects, texts
from kg.packed import evidence_key, unpack_trials
from kg.terms import LAB
from kg.vocab import name_of

EVIDENCE = "/evidence/"
COMBINED: Final = " combined"


class Elsewhere(NamedTuple):
    """One trial of a knob in some campaign."""

    campaign: str
    key: EvidenceKey
    trial: Trial


class Known(NamedTuple):
    """An experiment that ran a given program."""

    name: str
    campaign: str
    seq: int
    commit: str
    status: str
    outcome: str
    value: float | None
    metric: str
    device: str
    manifest: str
    scorer: str


READ: WeakKeyDictionary[Graph, dict[str, tuple[Elsewhere, ...]]] = WeakKeyDictionary()
"""What was read of each snapshot, by knob: a server is asked about the same knobs again."""
EDITS: WeakKeyDictionary[Graph, dict[str, list[list[Elsewhere]]]] = WeakKeyDictionary()
"""The same in groups of one edit."""


def edits(graph: Graph, knob: str) -> list[list[Elsewhere]]:
    """Return the trials of a knob in every campaign, those of one direction and value together.

    Of 2,000 trials in 10,000 experiments some 60 edits are to be compared with a proposal.
    """
    known = EDITS.setdefault(graph, {})
    if knob not in known:
        alike: dict[tuple[str, str], list[Elsewhere]] = {}
        for one in attempts(graph, knob):
            alike.setdefault((one.key.direction, repr(one.trial.new)), []).append(one)
        known[knob] = list(alike.values())
    return known[knob]


def attempts(graph: Graph, knob: str) -> tuple[Elsewhere, ...]:
    """Return every trial of a knob in every campaign, in no particular order.

    Through the sums over all campaigns, which are some hundred nodes: the index of what
    mentions a knob also holds every change of it, 1,000 in a memory of 10,000 experiments.
    """
    known = READ.setdefault(graph, {})
    if knob not in known:
        known[knob] = tuple(read(graph, knob))
    return known[knob]


def telling(found: list[Elsewhere]) -> tuple[list[Elsewhere], str]:
    """Return the isolated attempts among some, all where none is, and in words which they are."""
    alone = [one for one in found if one.key.isolated]
    if not alone:
        return found, COMBINED
    return alone, " alone" if len(alone) < len(found) else ""


def read(graph: Graph, knob: str) -> Iterator[Elsewhere]:
    """Yield every trial of a knob."""
    for whole in subjects(graph.store, LAB.evidenceIn, vocab.EVERYTHING):
        key = evidence_key(whole)
        if key.knob != knob:
            continue
        for node in subjects(graph.store, LAB.partOf, whole):
            owner = vocab.unescape(node.value.partition(EVIDENCE)[0].rpartition("/")[2])
            for trial in unpack_trials(texts(graph.store, node, LAB.trial)):
                yield Elsewhere(owner, key, trial)


def programs(graph: Graph, fingerprint: str) -> list[Known]:
    """Return the experiments that ran a program to its end or its crash, the latest last."""
    found = []
    for quad in graph.store.quads_for_pattern(None, LAB.fingerprint, Literal(fingerprint)):
        node: Any = quad.subject
        facts = told_of(graph, node)
        if LAB.inCampaign in facts:
            found.append(known_of(node, facts))
    ran = (known for known in found if known.outcome not in APART)
    return sorted(ran, key=lambda known: (known.campaign, known.seq, known.name))


def told_of(graph: Graph, node: NamedNode) -> dict[NamedNode, Any]:
    """Return what an experiment says of itself, one value of each term."""
    facts = {q.predicate: q.object for q in graph.store.quads_for_pattern(node, None, None)}
    return {predicate: plain(term) for predicate, term in facts.items()}


def known_of(node: NamedNode, facts: Mapping[NamedNode, Any]) -> Known:
    """Return what an experiment says of itself."""
    return Known(
        name_of(node),
        facts[LAB.inCampaign],
        facts[LAB.seq],
        facts.get(LAB.commit, "")[:7],
        facts[LAB.status],
        facts.get(LAB.outcome, ""),
        facts.get(LAB.value),
        facts[LAB.metric],
        facts.get(LAB.device, ""),
        facts.get(LAB.manifest, ""),
        facts.get(LAB.scorer, ""),
    )
