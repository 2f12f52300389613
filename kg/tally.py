"""What each agent and each task has to show for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kg.entries import Entry, Row, Scale


class TallyKey(NamedTuple):
    """Whose attempts are counted: an agent's or a task's, on one metric."""

    field: str
    name: str
    metric: str
    sense: str


@dataclass(slots=True)
class Tally:
    """What one agent or task has to show for on one metric."""

    attempts: int = 0
    kept: int = 0
    untold: int = 0  # kept, and nobody told the result
    crashed: int = 0
    seconds: float = 0.0
    leader: Row | None = None

    def count(self, row: Row) -> None:
        """Count one attempt."""
        entry = row.entry
        self.attempts += 1
        self.kept += row.kept
        self.untold += row.untold
        self.crashed += entry.status == "crash"
        self.seconds += entry.seconds or 0.0
        if row.kept and entry.value is not None and self.trails(entry.value, entry.scale):
            self.leader = row

    def counts(self, measured: bool) -> tuple[int, int]:
        """Return attempts and how many were kept, as `Board.counts` has them."""
        untold = self.untold if measured else 0
        return self.attempts - untold, self.kept - untold

    def trails(self, value: float, scale: Scale) -> bool:
        """Tell whether a value beats all so far; one of another evaluation has nothing to beat."""
        leader = self.leader.entry if self.leader else None
        if leader is None or leader.value is None or leader.scale != scale:
            return True
        return scale.better(value, leader.value)


def tally_keys(entry: Entry) -> list[TallyKey]:
    """Return what an attempt is counted under: its agent and its task."""
    metric, sense, _ = entry.scale
    named = (("agent", entry.agent), ("task", entry.task))
    return [TallyKey(field, name or "unknown", metric, sense) for field, name in named]
