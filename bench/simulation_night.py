"""One simulated night: a baseline, then the experiments of one agent that may ask before each."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from bench.simulation_agent import Agent, Seen, new_agent, propose
from bench.simulation_arms import ARMS, TAG, Adviser, Checking, FlatList
from bench.simulation_truth import Truth
from bench.simulation_world import FLOOR, GAP, SIGMA, Surface, draw_surface
from bench.synthetic import START, Course, State, record
from kg.model import Status

TRIES: Final = 8  # proposals an experiment at most; the last one is run as it is


@dataclass(frozen=True, slots=True)
class World:
    """What is varied between the parts of the experiment."""

    sigma: float = SIGMA
    textbook: float = 0.5
    experiments: int = 100


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer about a proposal, with what was true of it."""

    verdict: str
    refused: bool
    waste: str
    gain: float  # true value of the accepted program minus that of the proposal; -inf: a crash


@dataclass(slots=True)
class Night:
    """What came of a night."""

    arm: str
    seed: int
    wasted: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    gaps: list[float] = field(default_factory=list)  # to the best, after each; the baseline's is 1
    again: int = 0  # experiments that set what was discarded before, as the table tells it
    forced: int = 0  # refused edits that were run for want of another
    heard: list[Heard] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of each question to the memory

    @property
    def waste(self) -> int:
        """Return how many runs were wasted, by the surface's truth."""
        return self.wasted.total()


@dataclass(slots=True)
class Stage:
    """What a night is made of."""

    surface: Surface
    truth: Truth
    agent: Agent
    adviser: Adviser
    course: Course
    night: Night
    table: FlatList = field(default_factory=FlatList)  # counts what is tried again, in every arm


def run_night(arm: str, seed: int, world: World, adviser: Adviser | None = None) -> Night:
    """Return one night of an arm in a seed's world; an adviser given stands in for the arm's."""
    surface = draw_surface(seed, world.sigma, world.textbook)
    truth, night = Truth(surface), Night(arm, seed)
    course = Course(TAG, random.Random(f"{seed}/records"), dict(START), f"{TAG}-0000", 0.0)
    stage = Stage(surface, truth, new_agent(seed), adviser or ARMS[arm](truth), course, night)
    value = surface.measured(START, 0)
    assert value is not None, "the start never crashes"
    course.best = value
    first = record(course, 0, START, value, Status.KEEP, "baseline", 1)
    alone = replace(first, parent=None, parent_commit=None, parent_source=None)
    stage.adviser.tell(alone, START, START)
    truth.add(START, START)
    for number in range(1, world.experiments + 1):
        experiment(stage, number)
    if isinstance(stage.adviser, Checking):
        night.seconds = stage.adviser.seconds
    return night


def experiment(stage: Stage, number: int) -> None:
    """Choose an edit, run it, judge it, tell everyone."""
    course, night = stage.course, stage.night
    accepted = course.state
    state = choose(stage, number)
    if waste := stage.truth.waste(state, accepted):
        night.wasted[waste] += 1
    value = stage.surface.measured(state, number)
    status, reason = Status.DISCARD, "not lower"
    if value is None:
        status, reason = Status.CRASH, "out of memory"
    elif value < course.best:
        status, reason = Status.KEEP, "lower"
    row = record(course, number, state, value or 0.0, status, reason, 1)
    stage.adviser.tell(row, state, accepted)
    stage.agent.recent.append(Seen(accepted, state, status))
    stage.truth.add(state, accepted)
    night.again += stage.table.ask(state, accepted).refused
    stage.table.tell(row, state, accepted)
    night.statuses[status] += 1
    if status is Status.KEEP and value is not None:
        course.state, course.best, course.accepted = state, value, row.name
    night.gaps.append((stage.surface.true(course.state) - FLOOR) / GAP)


def choose(stage: Stage, number: int) -> State:
    """Return the edit to run: the first that is not refused, of at most TRIES."""
    accepted, night = stage.course.state, stage.night
    refused: list[State] = []
    offer: State | None = None
    for attempt in range(TRIES):
        # One stream per attempt: the arms propose alike as long as their nights are alike.
        chance = random.Random(f"{night.seed}/agent/{number}/{attempt}")
        state = offer or propose(stage.agent, accepted, chance, refused)
        answer = stage.adviser.ask(state, accepted)
        if answer.verdict:
            gain = stage.surface.true(accepted) - stage.surface.true(state)
            waste = stage.truth.waste(state, accepted)
            night.heard.append(Heard(answer.verdict, answer.refused, waste, gain))
        if not answer.refused:
            return state
        refused.append(state)
        offer = None if answer.instead in refused else answer.instead
    night.forced += 1
    return state
