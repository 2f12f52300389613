"""The functions that finish a question where one query cannot answer it."""

from __future__ import annotations

from kg.answering import Finish
from kg.answers_findings import conflicts, dead_ends, improved_while
from kg.answers_history import attempts, best, progress, timeline
from kg.answers_pairs import common

FINISH: dict[str, Finish] = {
    "attempts": attempts,
    "best": best,
    "common": common,
    "conflicts": conflicts,
    "dead-ends": dead_ends,
    "improved-while": improved_while,
    "progress": progress,
    "timeline": timeline,
}
