"""Spreading activation over what a campaign tried: which memories matter for the code at hand.

A memory (an edit: knob and direction) is as active as it was used, lately, and as it is linked
to what one is looking at: A = B + GAIN * S, the sum of ACT-R's declarative module (Anderson et
al. 2004). B = ln(sum of t^-d) over its attempts, t being 1 + the experiments accepted since, not
minutes: memory ages when the code moves on. S is what arrives from the seeds through the links
experiment - edit - knob - component, parameter group and lineage; a node passes RETENTION of
what it receives on, shared among its links (the fan effect). No clock and no chance: the same
memory and the same file give the same activation.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

DECAY: Final = 0.5  # ACT-R's d
GAIN: Final = 20.0  # a memory one link from a lone seed with 5 links (0.1) gains 2.0
RETENTION: Final = 0.5  # of what a node receives, per link
HOPS: Final = 3  # knob - component - knob - edit, or knob - edit - experiment - edit
VANISHED: Final = 3.0  # taken off an edit of a knob that was in the file and is not any more

Node = tuple[str, str]  # (kind, name): ("knob", "model.depth"), ("experiment", "mar8-0007")


class Network:
    """Nodes and undirected links."""

    def __init__(self) -> None:
        self.links: dict[Node, dict[Node, None]] = defaultdict(dict)

    def link(self, one: Node, other: Node) -> None:
        """Link two nodes; twice is once."""
        self.links[one][other] = None
        self.links[other][one] = None

    def spread(self, seeds: Mapping[Node, float], hops: int = HOPS) -> dict[Node, float]:
        """Return what arrives at each node within some links of the seeds.

        >>> net = Network()
        >>> net.link(("knob", "a"), ("edit", "a up"))
        >>> net.link(("knob", "a"), ("edit", "a down"))
        >>> net.spread({("knob", "a"): 1.0}, hops=1)[("edit", "a up")]
        0.25
        """
        total: dict[Node, float] = defaultdict(float, seeds)
        front = {node: weight for node, weight in seeds.items() if weight and node in self.links}
        for _ in range(hops):
            arriving: dict[Node, float] = defaultdict(float)
            for node in sorted(front):  # sums of floats depend on their order
                share = RETENTION * front[node] / len(self.links[node])
                for other in self.links[node]:
                    arriving[other] += share
            for node, amount in arriving.items():
                total[node] += amount
            front = arriving
        return dict(total)


def base_level(ages: Iterable[float], decay: float = DECAY) -> float:
    """Return ln(sum of (1 + age)^-decay), -inf for what was never used.

    >>> base_level([0]), round(base_level([3, 3]), 3)
    (0.0, 0.0)
    """
    strength = math.fsum((1.0 + age) ** -decay for age in ages)
    return math.log(strength) if strength > 0 else -math.inf


def activation(ages: Iterable[float], arriving: float, vanished: bool = False) -> float:
    """Return the activation of one memory."""
    return base_level(ages) + GAIN * arriving - (VANISHED if vanished else 0.0)


def shared(weight: float, nodes: Iterable[Node]) -> dict[Node, float]:
    """Share a weight among seeds: many things in view are each a little in view."""
    found = list(dict.fromkeys(nodes))
    return {node: weight / len(found) for node in found}
