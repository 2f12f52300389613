"""Plain rdflib as a peer: its own engine over an in-memory Graph, each query killable.

A process of its own holds the graph and forks for every query, so that one that does not end
can be killed without loading the graph again.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kg import store, vocab
from kg.query import PREFIXES
from kg.terms import DCT, KNOBS, LAB, MLS, PROV, RDF, XSD

REPEAT = 5
LONG = 1000.0  # ms: what takes longer is asked once
# What a query may need, by the class it is said of: nothing else is loaded, and no answer is.
NEEDED: dict[Any, tuple[Any, ...]] = {
    LAB.Experiment: (
        *(LAB.inCampaign, LAB.seq, LAB.status, LAB.value, LAB.outcome, LAB.delta, LAB.metric),
        *(LAB.previous, LAB.parent, LAB.comparedWith, LAB.reverts, LAB.repeats, LAB.fingerprint),
        *(LAB.task, LAB.tests, LAB.inert, LAB.follows),
        *(PROV.wasAssociatedWith, DCT.description),
    ),
    LAB.Change: (
        *(LAB.changeOf, LAB.knob, LAB.component, LAB.direction, LAB.isolated),
        *(LAB.oldValue, LAB.newValue),
    ),
    LAB.Regime: (LAB.regimeIn, LAB.knob, LAB.held, LAB.fromSeq, LAB.untilSeq),
    LAB.Hypothesis: (LAB.expectedDelta, DCT.description),
    LAB.Campaign: (LAB.noiseFloor,),
    LAB.Knob: (LAB.inComponent,),
}
SECONDS = f"""SELECT ?s ?p ?o {{
  ?line {MLS.specifiedBy} {vocab.measure("total_seconds")}
  {{ ?s {MLS.hasOutput} ?line . BIND({MLS.hasOutput} AS ?p) BIND(?line AS ?o) }}
  UNION {{ ?line {MLS.hasValue} ?o . BIND(?line AS ?s) BIND({MLS.hasValue} AS ?p) }}
}}"""

Found = tuple[float, list[tuple[Any, ...]]]


class PlainRdflib:
    """A graph of one memory in a process of its own."""

    def __init__(
        self, directory: Path, settings: tuple[str, ...], experiments: tuple[str, ...]
    ) -> None:
        """Load what is needed: these knobs of every experiment, every knob of these."""
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(directory, settings, experiments, other))
        self.process.start()
        self.triples, self.seconds = self.pipe.recv()

    def ask(self, sparql: str, most: float) -> Found | None:
        """Return milliseconds and rows, None if it took more seconds than that."""
        self.pipe.send((sparql, most))
        found: Found | None = self.pipe.recv()
        return found

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


@contextlib.contextmanager
def plain_rdflib(
    directory: Path, settings: tuple[str, ...] = (), experiments: tuple[str, ...] = ()
) -> Iterator[PlainRdflib]:
    """Load a memory into a process and end that on leaving."""
    peer = PlainRdflib(directory, settings, experiments)
    try:
        yield peer
    finally:
        peer.close()


def serve(
    directory: Path, settings: tuple[str, ...], experiments: tuple[str, ...], pipe: Connection
) -> None:
    """Load the graph, then answer queries until there is none more."""
    begun = time.perf_counter()
    gc.disable()
    graph = loaded(directory, settings, experiments)
    gc.freeze()  # what a fork never touches is not copied
    pipe.send((len(graph), time.perf_counter() - begun))
    context = multiprocessing.get_context("fork")
    while (asked := pipe.recv()) is not None:
        sparql, most = asked
        mine, other = context.Pipe()
        process = context.Process(target=answer, args=(graph, sparql, other))
        process.start()
        other.close()
        pipe.send(mine.recv() if mine.poll(most) else None)
        process.kill()
        process.join()


def loaded(directory: Path, settings: tuple[str, ...], experiments: tuple[str, ...]) -> Any:
    """Return an rdflib graph of what the queries need."""
    from rdflib import Graph, Literal, URIRef

    graph, terms = Graph(), dict[Any, Any]()
    snapshot = store.reading(directory)

    def term(node: Any) -> Any:
        if node not in terms:
            kind = getattr(node, "datatype", None)
            if kind is None:
                terms[node] = URIRef(node.value)
            else:  # to rdflib a text with and without its datatype are two texts
                datatype = None if kind == XSD.string else kind.value
                terms[node] = Literal(node.value, datatype=datatype)
        return terms[node]

    for sparql in queries(settings, experiments):
        found: Any = snapshot.query(sparql)
        for triple in found:
            graph.add(tuple(map(term, triple)))
    return graph


def queries(settings: tuple[str, ...], experiments: tuple[str, ...]) -> Iterator[str]:
    """Yield what is read of the memory: settings of all experiments, and all those of some."""
    for kind, predicates in NEEDED.items():
        for predicate in predicates:
            yield f"SELECT ?s ({predicate} AS ?p) ?o {{ ?s {RDF.type_} {kind} ; {predicate} ?o }}"
    for knob in settings:
        yield f"SELECT ?s ({knob} AS ?p) ?o {{ ?s {knob} ?o }}"
    for node in experiments:
        yield f"""SELECT ({node} AS ?s) ?p ?o {{
            {node} ?p ?o FILTER(STRSTARTS(STR(?p), "{KNOBS}")) }}"""
    yield SECONDS


def answer(graph: Any, sparql: str, pipe: Connection) -> None:
    """Time one query, which runs in a process that may be killed."""
    from rdflib.plugins.sparql import prepareQuery

    prepared = prepareQuery(sparql, initNs=PREFIXES)
    times: list[float] = []
    rows: list[tuple[Any, ...]] = []
    while len(times) < REPEAT and max(times, default=0.0) < LONG:
        begun = time.perf_counter()
        rows = [tuple(row) for row in graph.query(prepared)]
        times.append((time.perf_counter() - begun) * 1000)
    pipe.send((statistics.median(times), [tuple(map(plain, row)) for row in rows]))


def plain(term: Any) -> Any:
    """Return a term as answers show it: a number, a text, or the last name of an IRI."""
    from rdflib import Literal
    from rdflib.term import URIRef

    if isinstance(term, URIRef):
        return last_name(str(term))
    value = term.toPython() if isinstance(term, Literal) else None
    if isinstance(value, int | float | Decimal):
        return float(value)
    return value if value is None else " ".join(map(last_name, str(value).split(" ")))


def last_name(word: str) -> str:
    """Return the last name of an IRI, any other word as it is."""
    if not word.startswith("https://w3id.org/nightlab/"):
        return word
    return word.rpartition("#" if "#" in word else "/")[2]
