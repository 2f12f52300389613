"""Answers about single experiments and pairs of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kg import vocab
from kg.answering import Rows, limited
from kg.errors import BadArgument
from kg.graph import Graph
from kg.query import Asked, select
from kg.terms import LAB


def named(asked: Asked, argument: str) -> str:
    """Return the name of the experiment an argument means, if it counts as of then.

    Raises:
        BadArgument: No experiment has this name or commit, several have, or it came later.
    """
    name = asked.graph.resolve(asked.text(argument), asked.campaign)
    seq = asked.graph.value(vocab.experiment(name), LAB.seq)
    if asked.as_of is not None and seq > asked.as_of:
        raise BadArgument(f"experiment {name!r}: came after experiment {asked.as_of}")
    return name


def common(asked: Asked) -> tuple[Rows, bool]:
    """Return what two experiments share and what tells them apart, differences first."""
    a, b = named(asked, "a"), named(asked, "b")
    rows = [
        {"kind": kind, "what": what, "a": mine, "b": other, "shared": mine == other}
        for kind, what, mine, other in facts(asked.graph, a, b)
        if mine is not None or other is not None
    ]
    order = ["campaign", "component", "knob", "lineage", "outcome", "setting"]
    rows.sort(key=lambda row: (row["shared"], order.index(row["kind"]), row["what"]))
    return rows, False


def facts(graph: Graph, a: str, b: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield every fact two experiments can be compared in: (kind, what, a, b)."""
    one, two = vocab.experiment(a), vocab.experiment(b)
    for what, predicate in (("campaign", LAB.inCampaign), ("metric", LAB.metric)):
        yield "campaign", what, graph.value(one, predicate), graph.value(two, predicate)
    mine, other = edited(graph, a), edited(graph, b)
    for kind, index in (("component", 0), ("knob", 1)):
        left, right = {edit[index] for edit in mine}, {edit[index] for edit in other}
        for what in sorted(left | right):
            yield kind, what, what in left or None, what in right or None
    for what, predicate in (("status", LAB.status), ("outcome", LAB.outcome), ("value", LAB.value)):
        yield "outcome", what, graph.value(one, predicate), graph.value(two, predicate)
    yield from lineage(graph, a, b)
    left_settings, right_settings = graph.settings(a), graph.settings(b)
    for knob in sorted(left_settings.keys() | right_settings.keys()):
        yield "setting", knob, left_settings.get(knob), right_settings.get(knob)


def edited(graph: Graph, name: str) -> set[tuple[str, str]]:
    """Return the components and knobs an experiment edited."""
    found = set()
    for quad in graph.store.quads_for_pattern(vocab.experiment(name), LAB.hasChange, None):
        change: Any = quad.object
        found.add((graph.value(change, LAB.component), graph.value(change, LAB.knob)))
    return found


def lineage(graph: Graph, a: str, b: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield the parents, and the last experiment both come from."""
    mine, other = ancestors(graph, a), ancestors(graph, b)
    yield "lineage", "parent", mine[1] if mine[1:] else None, other[1] if other[1:] else None
    shared = next((name for name in mine if name in set(other)), None)
    if shared is not None:
        yield "lineage", "common ancestor", shared, shared
        yield "lineage", "steps since", mine.index(shared), other.index(shared)


def ancestors(graph: Graph, name: str) -> list[str]:
    """Return an experiment and those it comes from, the nearest first."""
    found = [name]
    while (parent := graph.value(vocab.experiment(found[-1]), LAB.parent)) is not None:
        if parent in found:
            break
        found.append(parent)
    return found


def relations(asked: Asked) -> tuple[Rows, bool]:
    """Return what an experiment was built on, reverted, repeated and combined with."""
    name = named(asked, "experiment")
    rows = select(asked, this=vocab.experiment(name))
    rows = [
        {**row, "experiment": row["other"], "commit": (row["commit"] or "")[:7]} for row in rows
    ]
    rows += isolated(asked, name)
    return limited(asked, rows)


def isolated(asked: Asked, name: str) -> Rows:
    """Return where each knob that was edited together with others was tried alone."""
    graph, node = asked.graph, vocab.experiment(name)
    board = graph.board(graph.value(node, LAB.inCampaign), asked.as_of)
    pairs = board.pairs.get(name, ())
    rows: Rows = []
    for key, _ in pairs if len(pairs) > 1 else ():
        alone = [
            trial
            for other in board.about[key.knob]
            if other.isolated
            for trial in board.evidence[other]
        ]
        for trial in sorted(alone, key=lambda trial: trial.order):
            row = board.names[trial.name]
            rows.append(
                {
                    "relation": f"{key.knob} tried alone in",
                    "experiment": trial.name,
                    "commit": trial.commit,
                    "seq": trial.seq,
                    "status": row.entry.status,
                    "value": row.entry.value,
                    "description": graph.description(trial.name),
                }
            )
    return rows
