"""The IRI of every thing in the graph and the literal of every value, each made in one way."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from pyoxigraph import Literal, NamedNode

from kg.terms import COMPONENTS, KNOBS, THINGS, XSD

INTEGER_KNOBS = frozenset(
    {
        "attention.every_n_layers",
        "attention.head_dim",
        "attention.n_kv_head",
        "attention.n_head",
        "batch.device",
        "batch.total",
        "mlp.expansion",
        "model.depth",
        "model.layer_loops",
        "model.width",
        "optimizer.muon_ns_steps",
        "other.seed",
        "position.rope_base",
        "position.rotary_cache_len",
        "schedule.grad_accum",
        "schedule.muon_momentum_warmup_steps",
    }
)
"""Knobs that count something: a whole value is an xsd:integer, so that ``knob:model.depth 9``
is a pattern anyone can write. Every other number is an xsd:double. The list is closed and
known before the first value is seen, which keeps the graph independent of the order of adds."""

Value = float | int | str
LARGEST = 2**53


def clean(text: str) -> str:
    """Return text that every RDF syntax can carry: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def value_of(knob: str, folded: object, source: str | None) -> Value:
    """Return the one Python value that stands for a setting: an int, a float or a string.

    >>> value_of("model.depth", 8.0, "8"), value_of("optimizer.matrix_lr", 4, "4")
    (8, 4.0)
    >>> value_of("attention.window_pattern", "SSSL", '"SSSL"'), value_of("x", None, "f(a)")
    ('SSSL', 'f(a)')
    """
    if isinstance(folded, bool) or not isinstance(folded, int | float):
        plain = isinstance(folded, str | bool) or source is None
        return clean(str(folded) if plain else str(source))
    try:
        number = float(folded)
    except OverflowError:
        return str(folded)
    if not math.isfinite(number):
        return str(number)
    if knob in INTEGER_KNOBS and number.is_integer() and abs(number) < LARGEST:
        return int(number)
    return number + 0.0  # -0.0 and 0.0 are one value


def value_order(value: Value) -> tuple[str, Value]:
    """Return what values of any kind are ordered by."""
    return ("text" if isinstance(value, str) else "number"), value


def literal(value: Value) -> Literal:
    """Return the RDF literal of a value: xsd:integer, xsd:double or xsd:string."""
    return Literal(value)


def python(term: object) -> Any:
    """Return what a term means in Python: a number, a bool, or the text of the term."""
    if not isinstance(term, Literal):
        return getattr(term, "value", None)
    kind = term.datatype
    if kind == XSD.integer:
        return int(term.value)
    if kind == XSD.double or kind.value.endswith("#decimal"):
        return float(term.value)
    if kind == XSD.boolean:
        return term.value == "true"
    return term.value


EVERYTHING = NamedNode(THINGS + "everything")
"""The scope of what is summed over all campaigns, where a campaign stands otherwise."""


PLAIN = re.compile(r"[A-Za-z0-9._~-]*", re.ASCII)


def segment(text: str) -> str:
    """Return one segment of an IRI: everything but letters, digits and ``._-`` is escaped."""
    return text if PLAIN.fullmatch(text) else quote(clean(text), safe="")


def experiment(name: str) -> NamedNode:
    """Return the IRI of an experiment, ``id:mar8-0007``."""
    return NamedNode(THINGS + segment(name))


def campaign(tag: str) -> NamedNode:
    """Return the IRI of a campaign."""
    return NamedNode(f"{THINGS}campaign/{segment(tag)}")


def agent(name: str) -> NamedNode:
    """Return the IRI of an agent."""
    return NamedNode(f"{THINGS}agent/{segment(name)}")


def task(name: str) -> NamedNode:
    """Return the IRI of a task."""
    return NamedNode(f"{THINGS}task/{segment(name)}")


def measure(metric: str) -> NamedNode:
    """Return the IRI of a metric."""
    return NamedNode(f"{THINGS}metric/{segment(metric)}")


@lru_cache(4096)
def knob(name: str) -> NamedNode:
    """Return the IRI of a knob, concept and predicate in one."""
    return NamedNode(KNOBS + segment(name))


@lru_cache(256)
def component(name: str) -> NamedNode:
    """Return the IRI of a component."""
    return NamedNode(COMPONENTS + segment(name))


def part(owner: NamedNode, *names: str) -> NamedNode:
    """Return the IRI of something that belongs to an experiment or campaign."""
    return NamedNode("/".join([owner.value, *map(segment, names)]))


def name_of(node: NamedNode) -> str:
    """Return the last name in an IRI, the way its maker wrote it.

    >>> name_of(experiment("a b-0001")), name_of(knob("model.depth"))
    ('a b-0001', 'model.depth')
    """
    return unescape(node.value.rpartition("#" if "#" in node.value else "/")[2])


def unescape(text: str) -> str:
    """Undo `segment`."""
    return unquote(text)
