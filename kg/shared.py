"""The nodes that several experiments share: campaign, knobs, components, agent, task, metric."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from pyoxigraph import Literal, Quad

from kg import vocab
from kg.components import GROUP_OF
from kg.facts import Facts, Held
from kg.terms import LAB, MLS, PROV, RDF, RDFS, SKOS
from kg.vocab import clean


def shared_quads(facts: Facts) -> Iterator[Quad]:
    """Yield the nodes that several experiments share: campaign, knobs, agent, task, metric."""
    record = facts.record
    campaign = vocab.campaign(record.campaign)
    for kind in (LAB.Campaign, MLS.Study, PROV.Collection):
        yield Quad(campaign, RDF.type_, kind)
    yield Quad(campaign, LAB.name, Literal(clean(record.campaign)))
    if record.agent:
        node = vocab.agent(record.agent)
        yield Quad(node, RDF.type_, PROV.SoftwareAgent)
        yield Quad(node, RDFS.label, Literal(clean(record.agent)))
    if record.task:
        yield Quad(vocab.task(record.task), RDF.type_, LAB.Task)
        yield Quad(vocab.task(record.task), RDFS.label, Literal(clean(record.task)))
    for key in (record.metric, *record.summary):
        yield Quad(vocab.measure(key), RDF.type_, MLS.EvaluationMeasure)
        yield Quad(vocab.measure(key), RDFS.label, Literal(clean(key)))
    seen = {(c.knob, c.component) for c in known(facts)}
    for knob, component in sorted(seen):
        yield from knob_quads(knob, component)
    for name in sorted({GROUP_OF[part] for _, part in seen if part in GROUP_OF}):
        yield from component_quads(name)


def known(facts: Facts) -> Iterator[Held]:
    """Yield every knob an experiment mentions, with its component."""
    yield from facts.settings
    edits = [*facts.changes, *(facts.net or ())]
    for change in [edit.change for edit in edits] + [claim.change for claim in facts.saying.claims]:
        yield Held(change.knob, change.component, "", False)


@lru_cache(4096)
def knob_quads(knob: str, component: str) -> tuple[Quad, ...]:
    """Return the concept of a knob and of its component; it is in the component's group too."""
    node, group = vocab.knob(knob), GROUP_OF.get(component)
    return (
        Quad(node, RDF.type_, LAB.Knob),
        Quad(node, RDF.type_, SKOS.Concept),
        Quad(node, RDF.type_, MLS.HyperParameter),
        Quad(node, SKOS.notation, Literal(clean(knob))),
        *(
            Quad(node, LAB.inComponent, vocab.component(name))
            for name in (component, group)
            if name
        ),
        *component_quads(component),
    )


@lru_cache(256)
def component_quads(name: str) -> tuple[Quad, ...]:
    """Return the concept of a component, or of a group of them."""
    node = vocab.component(name)
    return (
        Quad(node, RDF.type_, LAB.Component),
        Quad(node, RDF.type_, SKOS.Concept),
        Quad(node, SKOS.notation, Literal(clean(name))),
    )
