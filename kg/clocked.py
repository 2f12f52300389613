"""Locals that the clock changes: what a loop computes anew at each step is a schedule."""

from __future__ import annotations

import ast
import re
from typing import Final

from kg.nodes import under
from kg.program import Statement


def in_loop(statement: Statement) -> bool:
    """Tell whether a statement runs again and again."""
    return any(isinstance(parent, ast.For | ast.While) for parent in statement.parents)


def is_timed(statement: Statement, value: ast.expr) -> bool:
    """Tell whether a local is computed from the clock: in the loop, or in a schedule."""
    if not in_loop(statement) and not SCHEDULES.search(statement.scope.rpartition(".")[2]):
        return False
    read = (n.id for n in under(value) if isinstance(n, ast.Name))
    return any(name in CLOCKS or "elapsed" in name for name in read)


SCHEDULES: Final = re.compile(r"(?:^|_)lr|sched|mult|momentum|decay|anneal", re.I)
CLOCKS: Final = frozenset(
    {"progress", "step", "it", "elapsed", "frac", "lrm", "lr_mult", "iteration", "total_time",
     "total_training_time", "decay_frac"}
)  # fmt: skip
