"""Whom an arm asks before a run: nobody, a flat list, nightlab's memory, or the truth itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from pyoxigraph import Store

from bench.simulation_agent import edits
from bench.simulation_truth import Truth
from bench.simulation_world import ORDERED
from bench.synthetic import KNOBS, START, State, message, source_of
from kg import ingest
from kg.board import Board
from kg.check import Advice, Advised, check
from kg.check_ideas import from_sources
from kg.check_model import EXIT_CODES, Alternative, Idea
from kg.check_values import number
from kg.graph import Graph
from kg.ingest import Progress
from kg.memory import Memory
from kg.model import Status
from kg.record import ExperimentRecord

ADVISED: Final = frozenset(verdict for verdict, code in EXIT_CODES.items() if code)
"""Verdicts whose exit code says think again: identical, repeat, dead-end."""
TAG: Final = "sim"  # the campaign of a night
STOPPED: Final = frozenset({Advised.IDENTICAL, Advised.REPEAT})  # what `nightlab try` stops


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm hears about a proposal."""

    verdict: str = ""
    refused: bool = False
    instead: State | None = None  # what it is offered in place of it


class Adviser(Protocol):
    """Asked before each run, told of each experiment."""

    def ask(self, state: State, accepted: State) -> Answer:
        """Judge an edit of the accepted program."""

    def tell(self, record: ExperimentRecord, state: State, accepted: State) -> None:
        """Take in an experiment."""


class Nobody:
    """No memory: the agent has its context and nothing else."""

    def ask(self, state: State, accepted: State) -> Answer:
        return Answer()

    def tell(self, record: ExperimentRecord, state: State, accepted: State) -> None:
        return None


@dataclass(slots=True)
class FlatList:
    """A results table one can search: refuses the same knobs at the same values, if discarded."""

    failed: set[frozenset[tuple[str, int]]] = field(default_factory=set)

    def ask(self, state: State, accepted: State) -> Answer:
        return Answer("listed", refused=edits(accepted, state) in self.failed)

    def tell(self, record: ExperimentRecord, state: State, accepted: State) -> None:
        if record.status is not Status.KEEP:
            self.failed.add(edits(accepted, state))


@dataclass(slots=True)
class Perfect:
    """Refuses just what is wasted by the surface's truth: the most such a memory could do."""

    truth: Truth

    def ask(self, state: State, accepted: State) -> Answer:
        waste = self.truth.waste(state, accepted)
        return Answer(waste, refused=bool(waste))

    def tell(self, record: ExperimentRecord, state: State, accepted: State) -> None:
        return None  # the night tells the truth itself


@dataclass(slots=True)
class Checking:
    """nightlab's memory, asked by `kg.check.check` with the real sources."""

    memory: Memory
    refuse: frozenset[Advised] = ADVISED
    offers: bool = False  # take the alternative the advice names
    noise: float | None = None  # what `nightlab noise` would hand to `try`: two floors
    seconds: list[float] = field(default_factory=list)

    def ask(self, state: State, accepted: State) -> Answer:
        source, parent, told = source_of(state), source_of(accepted), message(accepted, state)
        begun = time.perf_counter()
        advice = check(self.memory, source, parent, campaign=TAG, message=told, noise=self.noise)
        self.seconds.append(time.perf_counter() - begun)
        refused = advice.verdict in self.refuse
        instead = None
        if refused and self.offers and advice.alternative:
            instead = applied(advice.alternative, accepted)
        return Answer(label(advice), refused, instead)

    def tell(self, record: ExperimentRecord, state: State, accepted: State) -> None:
        self.memory.add(record)


def label(advice: Advice) -> str:
    """Return a verdict; of a repeat also whether all it rests on were failures in the noise."""
    inside = advice.reasons and all(reason.within_noise for reason in advice.reasons)
    shaky = advice.verdict is Advised.REPEAT and inside
    return f"{advice.verdict} of noise" if shaky else str(advice.verdict)


class InProcess(Memory):
    """The memory with its graph in RAM: the same ingest and the same questions, no disk.

    Opening RocksDB for each add and each snapshot costs four times what the memory itself does
    at 100 experiments (5.3 s of CPU a night against 1.3); tests hold both to the same verdicts.
    """

    def __init__(self) -> None:
        super().__init__(Path("in-process"))
        self.store = Store()
        self.boards: dict[str, Board] = {}
        self.current = Graph(self.store)

    def add_all(self, records: Iterable[ExperimentRecord], progress: Progress | None = None) -> int:
        """Add experiments, as `Memory.add_all` does."""
        fresh = ingest.unknown(self.store, records)
        ingest.add_facts(self.store, ingest.understand(fresh, self.reader, 1), self.boards)
        self.current = Graph(self.store)  # what it holds is of the graph before
        return len(fresh)

    def graph(self) -> Graph:
        """Return the graph after the last experiment."""
        return self.current


def applied(offer: Alternative, accepted: State) -> State | None:
    """Return the accepted program with an alternative, at the nearest value the agent types."""
    name, value = constants().get(offer.knob), number(offer.value)
    if name is None or value is None:
        return None  # it names a knob and no value: the agent goes on with an idea of its own
    near = values(name)
    position = min(near, key=lambda i: abs(near[i] - value))
    return None if position == accepted[name] else {**accepted, name: position}


@cache
def constants() -> dict[str, str]:
    """Return the constant of the program behind each canonical knob, as the reader sees it."""
    return {edit_of(name, START[name] - 1 if START[name] else 1).knob: name for name in ORDERED}


@cache
def values(name: str) -> dict[int, float]:
    """Return the canonical value of each position of a constant."""
    ideas = {i: edit_of(name, i) for i in range(len(KNOBS[name][0])) if i != START[name]}
    found = {i: idea.new for i, idea in ideas.items()}
    found[START[name]] = next(iter(ideas.values())).old
    return {i: value for i, told in found.items() if (value := number(told)) is not None}


def edit_of(name: str, position: int) -> Idea:
    """Return one edit of the start as the reader sees it."""
    (idea,) = from_sources(source_of({**START, name: position}), source_of(START), "").ideas
    return idea


NOBODY, LIST, CHECK, PERFECT = "no memory", "flat list", "memory", "perfect memory"
STOPS, OFFERS = "memory, only what try stops", "memory, taking its offers"
MEASURED = "memory, noise measured"
ARMS: Final[dict[str, Callable[[Truth], Adviser]]] = {
    NOBODY: lambda _: Nobody(),
    LIST: lambda _: FlatList(),
    CHECK: lambda _: Checking(InProcess()),
    STOPS: lambda _: Checking(InProcess(), refuse=STOPPED),
    OFFERS: lambda _: Checking(InProcess(), offers=True),
    MEASURED: lambda truth: Checking(InProcess(), noise=2 * truth.surface.sigma),
    PERFECT: Perfect,
}
