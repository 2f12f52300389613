"""Quads of one subject, and literals of what is known: missing values say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import Literal, NamedNode, Quad

from kg import vocab
from kg.terms import XSD
from kg.vocab import Value, clean

Object = NamedNode | Literal


def about(node: NamedNode, pairs: Iterable[tuple[NamedNode, Object | None]]) -> Iterator[Quad]:
    """Yield the quads of one subject, leaving out what is not known."""
    for predicate, value in pairs:
        if value is not None:
            yield Quad(node, predicate, value)


def text(value: str | None) -> Literal | None:
    """Return a literal, None for nothing and for the empty string."""
    return Literal(clean(value)) if value else None


def number(value: int | None) -> Literal | None:
    """Return an integer literal."""
    return None if value is None else Literal(value)


def double(value: float | None) -> Literal | None:
    """Return a double literal; None for what is missing or not finite."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return Literal(float(value) + 0.0)


def time(value: str | None) -> Literal | None:
    """Return a time literal."""
    return Literal(value, datatype=XSD.dateTime) if value else None


def typed(value: Value | None) -> Literal | None:
    """Return the literal of a knob's value."""
    return None if value is None else vocab.literal(value)
