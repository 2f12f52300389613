"""The simulated agent: one greedy policy for every arm.

It sees the accepted program and its last WINDOW experiments, as an agent's context holds them. It
edits one knob, at times two: the one it just moved, or one by its taste (agents have favourites;
drawn per seed). Small steps are likelier, a direction it sees failed is less likely, one it sees
won is likelier, and what it still sees failed is not proposed again. It has no other memory.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from bench.simulation_world import CATEGORY, TUNED
from bench.synthetic import KNOBS, State
from kg.model import Status

WINDOW: Final = 12  # experiments in the agent's context
TWO_KNOBS: Final = 0.2
STAY: Final = {Status.KEEP: 0.5, Status.DISCARD: 0.2, Status.CRASH: 0.2}  # with the knob just moved
LEAN: Final = {Status.KEEP: 3.0, Status.DISCARD: 0.25, Status.CRASH: 0.25}  # the same direction
TASTE: Final = 0.4  # sigma of the logarithm of how often a knob is thought of
REDRAWS: Final = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """One experiment as the agent remembers it."""

    before: State
    state: State
    status: Status


@dataclass(slots=True)
class Agent:
    """What an agent brings along, and what it still has in view."""

    taste: dict[str, float]
    recent: deque[Seen] = field(default_factory=lambda: deque(maxlen=WINDOW))


def new_agent(seed: int) -> Agent:
    """Return the agent of a seed."""
    chance = random.Random(f"{seed}/taste")
    return Agent({name: chance.lognormvariate(0.0, TASTE) for name in TUNED})


def edits(before: State, after: State) -> frozenset[tuple[str, int]]:
    """Return what an edit sets, knob by knob.

    >>> sorted(edits({"A": 1, "B": 2}, {"A": 1, "B": 3}))
    [('B', 3)]
    """
    return frozenset((name, after[name]) for name in after if after[name] != before[name])


def propose(
    agent: Agent, accepted: State, chance: random.Random, refused: Collection[State] = ()
) -> State:
    """Return the next program to try; what was just refused only if nothing else comes up."""
    failed = {edits(s.before, s.state) for s in agent.recent if s.status is not Status.KEEP}
    state = draft(agent, accepted, chance)
    for _ in range(REDRAWS):
        if state not in refused and edits(accepted, state) not in failed:
            break
        state = draft(agent, accepted, chance)
    return state


def draft(agent: Agent, accepted: State, chance: random.Random) -> State:
    """Return one idea."""
    names = [first_knob(agent, chance)]
    if chance.random() < TWO_KNOBS:
        names.append(liked(agent, chance, set(names)))
    return {**accepted, **{name: step(agent, accepted, name, chance) for name in names}}


def first_knob(agent: Agent, chance: random.Random) -> str:
    """Return the knob just moved, or one the agent likes."""
    if agent.recent and chance.random() < STAY[agent.recent[-1].status]:
        last = agent.recent[-1]
        return chance.choice(sorted(name for name, _ in edits(last.before, last.state)))
    return liked(agent, chance, set())


def liked(agent: Agent, chance: random.Random, but: Collection[str]) -> str:
    """Return a knob by taste."""
    names = [name for name in TUNED if name not in but]
    return chance.choices(names, [agent.taste[name] for name in names])[0]


def step(agent: Agent, accepted: State, name: str, chance: random.Random) -> int:
    """Return another position of a knob."""
    now = accepted[name]
    positions = [i for i in range(len(KNOBS[name][0])) if i != now]
    if name == CATEGORY:
        return chance.choice(positions)
    up = lean(agent, name)
    weights = [(up if i > now else 1.0 / up) / abs(i - now) ** 0.5 for i in positions]
    return chance.choices(positions, weights)[0]


def lean(agent: Agent, name: str) -> float:
    """Return how much likelier up is than down, by the last time the knob was moved alone."""
    for seen in reversed(agent.recent):
        if {knob for knob, _ in edits(seen.before, seen.state)} == {name}:
            factor = LEAN[seen.status]
            return factor if seen.state[name] > seen.before[name] else 1.0 / factor
    return 1.0
