"""What a recall starts from: a campaign, the file at hand, the idea, and how active it all is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kg import check_fleet, vocab
from kg.activation import Network, Node, activation, shared
from kg.board import Board, Row, Trial
from kg.check import current_settings
from kg.check_ideas import settings_of
from kg.check_labels import Labels
from kg.check_values import same_value
from kg.fingerprint import fingerprint
from kg.graph import Graph
from kg.groups import group_of
from kg.knobs import component_of
from kg.terms import LAB, PROV
from kg.vocab import Value

IDEA: Final = 1.0  # weight of what the idea names
EDIT: Final = 1.0  # of the knobs in which the file differs from the accepted one
CONFIG: Final = 0.5  # of everything the file sets
LINE: Final = 0.5  # of the last accepted experiments, each half of the one after it
LINEAGE: Final = 5
RECENT: Final = 250  # attempts that are nodes of their own; older ones act by their base level


@dataclass(frozen=True, slots=True)
class Scene:
    """One campaign seen from one file."""

    graph: Graph
    board: Board
    now: dict[str, Value]  # the settings of the file
    idea: tuple[str, ...]  # knobs the idea names
    labels: Labels
    noise: float | None
    kept: tuple[tuple[int, str], ...]  # orders of the accepted experiments
    arriving: dict[Node, float]

    def age(self, trial: Trial) -> int:
        """Return how many experiments were accepted after an attempt."""
        return len(self.kept) - bisect_right(self.kept, trial.order)

    def level(self, knob: str, direction: str, to: str, trials: Iterable[Trial]) -> float:
        """Return the activation of one edit."""
        ages = [float(self.age(trial)) for trial in trials]
        arriving = self.arriving.get(edit_node(knob, direction, to), 0.0)
        return activation(ages, arriving, self.vanished(knob))

    def interest(self, knob: str) -> float:
        """Return the activation of a knob nobody has tried: only what arrives there."""
        return activation((float(len(self.kept)),), self.arriving.get(("knob", knob), 0.0))

    def vanished(self, knob: str) -> bool:
        """Tell whether a knob was on the accepted line and is not in the file."""
        return bool(self.now) and knob not in self.now and knob in self.board.regimes


def scene_of(
    graph: Graph,
    source: str | None,
    idea: str,
    campaign: str | None,
    noise: float | None,
    aliases: Path | None,
) -> Scene | None:
    """Return the scene of a recall, None where nothing is remembered."""
    tag = campaign or home(graph, source)
    board = graph.board(tag) if tag is not None else None
    if board is None or not board.rows:
        return None
    accepted = current_settings(graph, board, None)
    now = settings_of(source) or accepted
    knobs, components = concepts(idea, now, aliases)
    touched = [k for k in sorted(now) if k in accepted and not same_value(now[k], accepted[k])]
    accepted_line = [row for row in board.rows if row.kept]
    kept = tuple(row.order for row in accepted_line)
    last = accepted_line[-LINEAGE:]
    seeds = seeds_of(last, now, knobs, components, touched)
    arriving = network_of(board, last, now).spread(seeds)
    floor = board.noise if noise is None else noise
    return Scene(graph, board, now, knobs, Labels(graph), floor, kept, arriving)


def home(graph: Graph, source: str | None) -> str | None:
    """Return the campaign a program was run in last, else the one that was active last."""
    if source:
        known = check_fleet.programs(graph, fingerprint(source))
        if known:
            return known[-1].campaign
    tags = graph.campaigns()
    return max(tags, key=lambda tag: (active(graph, tag), tag), default=None)


def active(graph: Graph, tag: str) -> str:
    """Return when the accepted experiment of a campaign ran, "" if nobody told."""
    for name in graph.values(vocab.campaign(tag), LAB.accepted):
        node = vocab.experiment(name)
        for predicate in (PROV.endedAtTime, PROV.startedAtTime):
            found = graph.value(node, predicate)
            if found:
                return str(found)
    return ""


def concepts(
    idea: str, now: dict[str, Value], aliases: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the knobs and the components an idea names, by the labels of the lexicon."""
    if not idea.strip():
        return (), ()
    from kg.lexicon import load
    from kg.text import resolve
    from kg.text_tokens import key_of

    lexicon = load(aliases)
    current = {knob: float(v) for knob, v in now.items() if not isinstance(v, str)}
    found = resolve(idea, lexicon, current=current, engine="light")
    named = [claim.knob for claim in found.claims] + list(found.context)
    if named:
        return tuple(dict.fromkeys(named)), ()
    guessed = [name for rest in found.unresolved for name, _ in rest.candidates]
    words = set(key_of(idea))
    parts = [
        concept.name
        for (kind, _), concept in lexicon.concepts.items()
        if kind == "component" and any(set(key_of(label)) <= words for label in concept.labels)
    ]
    return tuple(dict.fromkeys(guessed)), tuple(sorted(parts))


def seeds_of(
    last: list[Row],
    now: dict[str, Value],
    knobs: tuple[str, ...],
    components: tuple[str, ...],
    touched: list[str],
) -> dict[Node, float]:
    """Return where activation starts, and how much."""
    ideas = [("knob", knob) for knob in knobs] + [("component", part) for part in components]
    parts = [
        shared(IDEA, ideas),
        shared(EDIT, [("knob", knob) for knob in touched]),
        shared(CONFIG, [("knob", knob) for knob in sorted(now)]),
        {("experiment", row.name): LINE / 2**n for n, row in enumerate(reversed(last), 1)},
    ]
    seeds: dict[Node, float] = {}
    for part in parts:
        for node, weight in part.items():
            seeds[node] = seeds.get(node, 0.0) + weight
    return seeds


def network_of(board: Board, last: list[Row], now: dict[str, Value]) -> Network:
    """Return the links of a campaign: experiment, edit, knob, component, group, lineage."""
    net = Network()
    for key in board.evidence:
        node = edit_node(key.knob, key.direction, key.to)
        net.link(node, ("knob", key.knob))
        net.link(("knob", key.knob), ("component", key.component))
    for knob in {*now, *board.about}:
        group = group_of(knob)
        if group:
            net.link(("knob", knob), ("group", group))
        if knob in now:
            net.link(("knob", knob), ("component", component_of(knob)))
    for row in recent(board, last):
        node = ("experiment", row.name)
        for key, _ in board.pairs.get(row.name, ()):
            net.link(node, edit_node(key.knob, key.direction, key.to))
        if row.compared:
            net.link(node, ("experiment", row.compared))
    return net


def recent(board: Board, last: list[Row]) -> Iterator[Row]:
    """Yield the attempts that are nodes: the last ones, and the last accepted ones."""
    late = board.attempts[-RECENT:]
    yield from late
    names = {row.name for row in late}
    yield from (row for row in last if row.name not in names)


def edit_node(knob: str, direction: str, to: str) -> Node:
    """Return the node of an edit."""
    return "edit", f"{knob} {direction} {to}".rstrip()
