"""The names of knobs as a person reads them, from the labels in the graph."""

from __future__ import annotations

from kg import vocab
from kg.graph import Graph
from kg.terms import SKOS


class Labels:
    """The preferred label of each knob; a knob without one is its own name."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[str, str] = {}

    def __call__(self, knob: str) -> str:
        """Return one label."""
        if knob not in self.known:
            found = self.graph.value(vocab.knob(knob), SKOS.prefLabel)
            self.known[knob] = str(found) if found else knob
        return self.known[knob]
