"""The vocabularies in use, each closed: a misspelt term is an error, never a new IRI.

The terms are pyoxigraph nodes, not rdflib ones: importing rdflib costs 100 ms, which every
cold ``nightlab ask`` and ``nightlab check`` would pay. A misspelt term is an AttributeError
(and a type error) just as with rdflib's closed ``DefinedNamespace``.
"""

from __future__ import annotations

from typing import Any

from pyoxigraph import NamedNode

VOCAB = "https://w3id.org/nightlab/vocab#"
THINGS = "https://w3id.org/nightlab/id/"
KNOBS = "https://w3id.org/nightlab/knob/"
COMPONENTS = "https://w3id.org/nightlab/component/"

PREFIXES: dict[str, str] = {
    "lab": VOCAB,
    "id": THINGS,
    "knob": KNOBS,
    "component": COMPONENTS,
    "prov": "http://www.w3.org/ns/prov#",
    "mls": "http://www.w3.org/ns/mls#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "sh": "http://www.w3.org/ns/shacl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""The fixed prefix table of every query and every Turtle file."""


class Closed(type):
    """Turn the annotated names of a class into nodes of its namespace, and no others."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Closed:
        """Make one node per annotation."""
        space = PREFIXES[body["prefix"]]
        for term in body.get("__annotations__", ()):
            body[term] = NamedNode(space + term.rstrip("_"))
        return super().__new__(mcs, name, bases, body)


class LAB(metaclass=Closed):
    """Terms of ontology.ttl."""

    prefix = "lab"
    # classes
    Campaign: NamedNode
    Change: NamedNode
    Claim: NamedNode
    CodeSnapshot: NamedNode
    Component: NamedNode
    Conflict: NamedNode
    Evidence: NamedNode
    Experiment: NamedNode
    Hypothesis: NamedNode
    Knob: NamedNode
    NoiseFloor: NamedNode
    Regime: NamedNode
    Repeat: NamedNode
    Sweep: NamedNode
    Tally: NamedNode
    Task: NamedNode
    # closed sets of values
    keep: NamedNode
    discard: NamedNode
    crash: NamedNode
    # an experiment
    inCampaign: NamedNode
    seq: NamedNode
    name: NamedNode
    commit: NamedNode
    shortCommit: NamedNode
    status: NamedNode
    outcome: NamedNode
    reason: NamedNode
    metric: NamedNode
    sense: NamedNode
    value: NamedNode
    delta: NamedNode
    comparedWith: NamedNode
    bestBefore: NamedNode
    bestBeforeBy: NamedNode
    parent: NamedNode
    parentCommit: NamedNode
    previous: NamedNode
    reverts: NamedNode
    task: NamedNode
    seed: NamedNode
    device: NamedNode
    isolation: NamedNode
    manifest: NamedNode
    scorer: NamedNode
    origin: NamedNode
    forcedBecause: NamedNode
    digest: NamedNode
    fingerprint: NamedNode
    lines: NamedNode
    nodes: NamedNode
    linesAdded: NamedNode
    nodesAdded: NamedNode
    inert: NamedNode
    follows: NamedNode
    inferred: NamedNode
    hasChange: NamedNode
    hasNetChange: NamedNode
    tests: NamedNode
    states: NamedNode
    # a change or a claim
    changeOf: NamedNode
    knob: NamedNode
    component: NamedNode
    changeType: NamedNode
    direction: NamedNode
    optimizerScope: NamedNode
    oldValue: NamedNode
    newValue: NamedNode
    oldText: NamedNode
    newText: NamedNode
    silent: NamedNode
    effective: NamedNode
    isolated: NamedNode
    path: NamedNode
    oldLines: NamedNode
    newLines: NamedNode
    overriddenAt: NamedNode
    countedIn: NamedNode
    agrees: NamedNode
    agreement: NamedNode
    unresolved: NamedNode
    method: NamedNode
    score: NamedNode
    lexiconVersion: NamedNode
    tableVersion: NamedNode
    fromText: NamedNode
    # a hypothesis
    expectedDelta: NamedNode
    verdict: NamedNode
    # derived per campaign, and over all of them
    best: NamedNode
    accepted: NamedNode
    noiseFloor: NamedNode
    noiseThreshold: NamedNode
    floorIn: NamedNode
    profile: NamedNode
    deviation: NamedNode
    threshold: NamedNode
    runs: NamedNode
    experiments: NamedNode
    kept: NamedNode
    discarded: NamedNode
    crashes: NamedNode
    seconds: NamedNode
    logRow: NamedNode
    standing: NamedNode
    trial: NamedNode
    part: NamedNode
    to: NamedNode
    partOf: NamedNode
    campaigns: NamedNode
    trials: NamedNode
    nImproved: NamedNode
    nWorsened: NamedNode
    nEqual: NamedNode
    nCrashed: NamedNode
    sumDelta: NamedNode
    minDelta: NamedNode
    maxDelta: NamedNode
    minDeltaBy: NamedNode
    maxDeltaBy: NamedNode
    lastSeq: NamedNode
    fromSeq: NamedNode
    untilSeq: NamedNode
    gain: NamedNode
    loss: NamedNode
    improvedBy: NamedNode
    worsenedBy: NamedNode
    differsIn: NamedNode
    repeats: NamedNode
    repeatOf: NamedNode
    justified: NamedNode
    justifiedBy: NamedNode
    level: NamedNode
    member: NamedNode
    inComponent: NamedNode
    evidenceIn: NamedNode
    regimeIn: NamedNode
    repeatIn: NamedNode
    repeatBy: NamedNode
    changedSince: NamedNode
    conflictIn: NamedNode
    sweepIn: NamedNode
    tallyIn: NamedNode
    tallyOf: NamedNode
    baseline: NamedNode
    held: NamedNode
    nDelta: NamedNode


class RDF(metaclass=Closed):
    """The RDF terms in use."""

    prefix = "rdf"
    type_: NamedNode
    JSON: NamedNode


class RDFS(metaclass=Closed):
    """The RDF Schema terms in use."""

    prefix = "rdfs"
    label: NamedNode


class XSD(metaclass=Closed):
    """The datatypes in use."""

    prefix = "xsd"
    dateTime: NamedNode
    boolean: NamedNode
    double: NamedNode
    integer: NamedNode
    string: NamedNode


class PROV(metaclass=Closed):
    """The PROV-O terms in use."""

    prefix = "prov"
    Activity: NamedNode
    Collection: NamedNode
    Derivation: NamedNode
    Entity: NamedNode
    SoftwareAgent: NamedNode
    endedAtTime: NamedNode
    generated: NamedNode
    invalidatedAtTime: NamedNode
    qualifiedDerivation: NamedNode
    startedAtTime: NamedNode
    used: NamedNode
    wasAssociatedWith: NamedNode
    wasDerivedFrom: NamedNode
    wasGeneratedBy: NamedNode
    wasInvalidatedBy: NamedNode


class MLS(metaclass=Closed):
    """The ML-Schema terms in use."""

    prefix = "mls"
    EvaluationMeasure: NamedNode
    HyperParameter: NamedNode
    ModelEvaluation: NamedNode
    Run: NamedNode
    Study: NamedNode
    hasOutput: NamedNode
    hasValue: NamedNode
    specifiedBy: NamedNode


class SKOS(metaclass=Closed):
    """The SKOS terms in use."""

    prefix = "skos"
    Concept: NamedNode
    notation: NamedNode
    broader: NamedNode
    prefLabel: NamedNode


class DCT(metaclass=Closed):
    """The Dublin Core terms in use."""

    prefix = "dct"
    description: NamedNode
