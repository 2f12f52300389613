"""The functions that finish a question where one query cannot answer it."""

from __future__ import annotations

from functools import partial

from kg.answering import Finish
from kg.answers_findings import conflicts, dead_ends, improved_while
from kg.answers_fleet import seen_by
from kg.answers_history import attempts, best, progress, timeline
from kg.answers_pairs import common, relations
from kg.answers_search import best_before, hypotheses, repeats, sweeps
from kg.answers_unexplored import unexplored
from kg.attribution import attribution

FINISH: dict[str, Finish] = {
    "attempts": attempts,
    "attribution": attribution,
    "best": best,
    "best-before": best_before,
    "by-agent": partial(seen_by, field="agent"),
    "by-task": partial(seen_by, field="task"),
    "common": common,
    "conflicts": conflicts,
    "dead-ends": dead_ends,
    "hypotheses": hypotheses,
    "improved-while": improved_while,
    "progress": progress,
    "relations": relations,
    "repeats": repeats,
    "sweeps": sweeps,
    "timeline": timeline,
    "unexplored": unexplored,
}
