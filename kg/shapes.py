"""shapes.ttl in two hands: a quick native check on every insert, pySHACL for the whole graph.

The native reader knows the constructs that shapes.ttl uses and refuses any other, so the two
cannot drift apart unseen. It takes 1 ms an experiment, pySHACL 2 to 9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Store

from kg.errors import KgError
from kg.terms import PREFIXES, RDF, XSD
from kg.vocab import python

if TYPE_CHECKING:
    from rdflib import Graph

SH = PREFIXES["sh"]
NUMERIC = {XSD.integer, XSD.double}
DATETIME = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
BATCH = 2000  # subjects pySHACL is given at once: rdflib holds 1 kB a triple


@dataclass(frozen=True, slots=True)
class Shape:
    """What the values of one path must be."""

    path: NamedNode
    least: int = 0
    most: int | None = None
    datatype: NamedNode | None = None
    kind: str | None = None  # IRI or Literal
    allowed: frozenset[Any] | None = None
    pattern: re.Pattern[str] | None = None
    low: float | None = None
    high: float | None = None
    shortest: int = 0
    type_: NamedNode | None = None


@cache
def turtle() -> bytes:
    """Return the text of shapes.ttl."""
    return (resources.files("kg") / "shapes.ttl").read_bytes()


@cache
def shapes() -> dict[NamedNode, tuple[Shape, ...]]:
    """Return the shapes by the class they are about."""
    store = Store()
    store.load(turtle(), RdfFormat.TURTLE)
    found: dict[NamedNode, tuple[Shape, ...]] = {}
    for quad in store.quads_for_pattern(None, NamedNode(SH + "targetClass"), None):
        parts = store.quads_for_pattern(quad.subject, NamedNode(SH + "property"), None)
        target: Any = quad.object
        found[target] = tuple(read_shape(store, part.object) for part in parts)
    return found


def read_shape(store: Store, node: Any) -> Shape:
    """Read one property shape.

    Raises:
        KgError: It uses a construct this reader does not know.
    """
    fields: dict[str, Any] = {}
    for quad in store.quads_for_pattern(node, None, None):
        name, value = quad.predicate.value.removeprefix(SH), quad.object
        if name not in READ:
            raise KgError(f"shapes.ttl: {name!r} is not read by kg/shapes.py; teach it or drop it")
        field, convert = READ[name]
        fields[field] = listed(store, value) if name == "in" else convert(value)
    return Shape(**fields)


def listed(store: Store, node: Any) -> frozenset[Any]:
    """Return the members of an RDF list."""
    found = set()
    first, rest = NamedNode(PREFIXES["rdf"] + "first"), NamedNode(PREFIXES["rdf"] + "rest")
    while not isinstance(node, NamedNode):  # rdf:nil
        found.add(next(iter(store.quads_for_pattern(node, first, None))).object)
        node = next(iter(store.quads_for_pattern(node, rest, None))).object
    return frozenset(found)


READ: dict[str, tuple[str, Any]] = {
    "path": ("path", lambda node: node),
    "minCount": ("least", python),
    "maxCount": ("most", python),
    "datatype": ("datatype", lambda node: node),
    "nodeKind": ("kind", lambda node: node.value.removeprefix(SH)),
    "in": ("allowed", lambda node: node),
    "pattern": ("pattern", lambda node: re.compile(node.value)),
    "minInclusive": ("low", python),
    "maxInclusive": ("high", python),
    "minLength": ("shortest", python),
    "class": ("type_", lambda node: node),
}


def violations(quads: Iterable[Quad]) -> list[str]:
    """Return what is wrong with complete descriptions of things, one sentence each.

    ``sh:class`` is checked where the neighbour's type is among the quads; the rest of it is
    left to pySHACL.
    """
    things: dict[Any, dict[Any, list[Any]]] = {}
    for quad in quads:
        things.setdefault(quad.subject, {}).setdefault(quad.predicate, []).append(quad.object)
    known = shapes()
    found = []
    for node, facts in things.items():
        for type_ in facts.get(RDF.type_, ()):
            for shape in known.get(type_, ()):
                values = set(facts.get(shape.path, ()))
                found += [f"{node.value}: {text}" for text in broken(shape, values, things)]
    return sorted(found)


def broken(shape: Shape, values: set[Any], things: dict[Any, Any]) -> Iterator[str]:
    """Yield what is wrong with the values of one path."""
    path = shape.path.value.rpartition("#")[2]
    if len(values) < shape.least:
        yield f"{path} has {len(values)} values, at least {shape.least} needed"
    if shape.most is not None and len(values) > shape.most:
        yield f"{path} has {len(values)} values, at most {shape.most} allowed"
    for value in values:
        if fault := fault_of(shape, value, things):
            yield f"{path} {value} {fault}"


def fault_of(shape: Shape, value: Any, things: dict[Any, Any]) -> str | None:
    """Say what is wrong with one value, None if nothing is."""
    literal = isinstance(value, Literal)
    text = value.value
    number = float(text) if literal and value.datatype in NUMERIC else None
    typed = literal and value.datatype == shape.datatype
    checks = [
        (shape.kind == "IRI" and literal, "is not an IRI"),
        (shape.kind == "Literal" and not literal, "is not a literal"),
        (shape.datatype is not None and not typed, f"is not of type {shape.datatype}"),
        (shape.datatype == XSD.dateTime and not DATETIME.fullmatch(text), "is no time"),
        (shape.allowed is not None and value not in shape.allowed, "is not one of the allowed"),
        (shape.pattern is not None and not shape.pattern.search(text), "does not match"),
        (len(text) < shape.shortest, "is too short"),
        (shape.low is not None and (number is None or number < shape.low), "is too small"),
        (shape.high is not None and (number is None or number > shape.high), "is too large"),
        (not of_class(shape, value, things), f"is no {shape.type_}"),
    ]
    return next((message for wrong, message in checks if wrong), None)


def of_class(shape: Shape, value: Any, things: dict[Any, Any]) -> bool:
    """Tell whether a neighbour at hand is of the class it has to be."""
    if shape.type_ is None or value not in things:
        return True
    return shape.type_ in things[value].get(RDF.type_, ())


def require_shape(name: str, quads: Iterable[Quad]) -> None:
    """Refuse an experiment that does not have the shape of one.

    Raises:
        KgError: Something is missing or of the wrong kind.
    """
    found = violations(quads)
    if found:
        raise KgError(f"experiment {name!r}: {found[0]}; mend the record and add it again")


def check_store(store: Store) -> list[str]:
    """Return every violation pySHACL finds in a graph, one sentence each."""
    subjects = [
        quad.subject
        for target in shapes()
        for quad in store.quads_for_pattern(None, RDF.type_, target)
    ]
    found: set[str] = set()
    for start in range(0, len(subjects), BATCH):
        found.update(check_batch(store, subjects[start : start + BATCH]))
    return sorted(found)


def check_batch(store: Store, subjects: list[Any]) -> Iterator[str]:
    """Yield the violations of some things, in a graph of them and their neighbours' types."""
    import pyshacl
    from rdflib import Graph, URIRef

    data = Graph()
    focus = {URIRef(node.value) for node in subjects}
    used = {shape.path for found in shapes().values() for shape in found} | {RDF.type_}
    for node in subjects:
        for quad in store.quads_for_pattern(node, None, None):
            if quad.predicate in used:
                data.add(tuple(map(to_rdflib, (quad.subject, quad.predicate, quad.object))))
                add_types(store, data, quad.object)
    form = Graph().parse(data=turtle(), format="turtle")
    _, report, _ = pyshacl.validate(data, shacl_graph=form, focus_nodes=list(focus))
    result, path = URIRef(SH + "resultPath"), URIRef(SH + "focusNode")
    message, value = URIRef(SH + "resultMessage"), URIRef(SH + "value")
    for node in report.subjects(path, None):
        what = report.value(node, result)
        text = str(report.value(node, message)).splitlines()[0]
        held = report.value(node, value)
        yield f"{report.value(node, path)}: {str(what).rpartition('#')[2]} {held or ''} {text}"


def add_types(store: Store, data: Graph, node: Any) -> None:
    """Add a neighbour's types, which is all that shapes ask of it."""
    if isinstance(node, NamedNode):
        for quad in store.quads_for_pattern(node, RDF.type_, None):
            data.add(tuple(map(to_rdflib, (quad.subject, quad.predicate, quad.object))))


def to_rdflib(term: Any) -> Any:
    """Return a term as rdflib has it."""
    from rdflib import Literal as RdfLiteral
    from rdflib import URIRef

    if isinstance(term, NamedNode):
        return URIRef(term.value)
    if term.language:
        return RdfLiteral(term.value, lang=term.language)
    plain = term.datatype == XSD.string  # rdflib tells "x" from "x"^^xsd:string
    return RdfLiteral(term.value, datatype=None if plain else URIRef(term.datatype.value))
