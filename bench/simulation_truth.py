"""Which runs of a simulated night are wasted, by the truth of its surface.

A run is wasted if it can neither win nor teach, given all runs of the night before it:

- `identical`: the very program ran before;
- `known`: it is no true improvement on the accepted program, and how much worse it is follows
  from the results so far: least squares over the surface's true structure (which knobs interact
  with which, and no others) predicts its difference from the accepted program to within KNOWN
  sigma. A knob set alone to a value it was set to before is known while nothing that interacts
  with it has changed; a value tried only together with another edit is not;
- `beyond`: it is no true improvement, and each knob it edits is known as above, or goes further
  than a value that is known as above and truly worse than the present one by more than sigma,
  and is truly no better there.

A crash is known of the value that caused it, and of all beyond, once an edit of that knob alone
has crashed. None of this looks at what nightlab says.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.simulation_world import CATEGORY, TUNED, Surface
from bench.synthetic import State

KNOWN: Final = 2.0  # sigma; the value set once before, in isolation, is known to within 1.4
RIDGE: Final = 1e-6  # of the least squares: what no result bears on has a variance of 1/RIDGE
Array = NDArray[Any]


class Truth:
    """What a night has shown so far."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.runs: list[State] = []
        self.crashed: set[tuple[str, int]] = set()  # values that crashed when set alone
        self.pairs = [(a, b) for a in surface.partners for b in surface.partners[a] if a < b]
        self.cells: Array = np.zeros((0, len(TUNED) + len(self.pairs)), dtype=np.int64)
        self.inverse: Array = np.zeros((0, 0))

    def add(self, state: State, accepted: State) -> None:
        """Take in a program that was run, edited from the accepted one."""
        self.runs.append(state)
        if self.surface.crashed(state):
            edited = different(state, accepted)
            self.crashed |= {(name, state[name]) for name in edited if len(edited) == 1}
            return
        self.cells = np.vstack([self.cells, self.cells_of(state)])
        shared = (self.cells[:, None, :] == self.cells[None, :, :]).sum(axis=2)
        self.inverse = np.linalg.inv(shared + RIDGE * np.eye(len(shared)))

    def cells_of(self, state: State) -> Array:
        """Return the parts a program's value is the sum of: a knob's value, a pair's values."""
        alone = [state[name] for name in TUNED]
        return np.array(alone + [state[a] * 1000 + state[b] for a, b in self.pairs])

    def waste(self, state: State, accepted: State) -> str:
        """Return why a run would be wasted, "" if it would not."""
        if state in self.runs:
            return "identical"
        if self.surface.true(state) < self.surface.true(accepted):
            return ""
        if self.known(state, accepted):
            return "known"
        edited = different(state, accepted)
        partners = self.surface.partners
        tied = any(a in partners.get(b, ()) for a in edited for b in edited)
        alone = [{**accepted, name: state[name]} for name in edited]
        if tied or not all(
            self.known(one, accepted) or self.walled(one, accepted) for one in alone
        ):
            return ""
        return "beyond"

    def known(self, state: State, accepted: State) -> bool:
        """Tell whether the results so far tell how a program compares with the accepted one."""
        if self.surface.crashed(state):
            return any((name, state[name]) in self.crashed for name in different(state, accepted))
        return self.error(state, accepted) <= KNOWN

    def error(self, state: State, accepted: State) -> float:
        """Return the standard error, in sigma, of the predicted difference of two programs."""
        one, other = self.cells_of(state), self.cells_of(accepted)
        with_runs = (self.cells == one).sum(axis=1) - (self.cells == other).sum(axis=1)
        apart = 2.0 * np.count_nonzero(one != other)
        variance = (apart - with_runs @ self.inverse @ with_runs) / RIDGE
        return math.sqrt(max(float(variance), 0.0))

    def walled(self, state: State, accepted: State) -> bool:
        """Tell whether an edit of one knob goes on beyond a value that is known to be worse."""
        (name,) = different(state, accepted)
        if name == CATEGORY:
            return False
        low, high = sorted((accepted[name], state[name]))
        here, there = self.surface.true(accepted), self.surface.true(state)
        for position in range(low + 1, high):
            wall = {**accepted, name: position}
            worse = here + self.surface.sigma < self.surface.true(wall) <= there
            if worse and self.known(wall, accepted):
                return True
        return False


def different(state: State, accepted: State) -> list[str]:
    """Return the knobs an edit sets."""
    return [name for name in TUNED if state[name] != accepted[name]]
