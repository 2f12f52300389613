"""Which way a metric is better, where the user does not say: by the rows, else by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flows.history_rows import Item
from kg.model import Status

WORDS = re.compile(r"[a-z]+\d*")
LOWER: tuple[str, ...] = (
    "bpb",
    "bpc",
    "loss",
    "rmse",
    "mse",
    "mae",
    "mape",
    "error",
    "err",
    "ppl",
    "perplexity",
)
LOWER += ("nll", "latency", "regret", "brier", "wer", "cer", "fid", "seconds", "time", "cost")
HIGHER: tuple[str, ...] = (
    "score",
    "acc",
    "accuracy",
    "auc",
    "auroc",
    "f1",
    "r2",
    "reward",
    "return",
    "sharpe",
)
HIGHER += ("precision", "recall", "map", "bleu", "rouge", "ndcg", "iou", "mfu", "throughput")


@dataclass(frozen=True, slots=True)
class Direction:
    """Which way is better."""

    way: str  # min or max
    why: str  # `as kept rows rise`
    doubt: str = ""  # what speaks against a direction the user gave


@dataclass(frozen=True, slots=True)
class Votes:
    """How the rows of a table lie to each other."""

    rises: int = 0  # from one kept row to the next
    falls: int = 0
    above: int = 0  # discarded rows, against the kept one before
    below: int = 0

    @property
    def up(self) -> int:
        """Return by how many rows higher is better; below zero lower is."""
        return self.rises - self.falls + self.below - self.above

    def why(self, way: str) -> str:
        """Say what in the rows shows that a way is better."""
        up = way == "max"
        if (self.rises > self.falls) if up else (self.falls > self.rises):
            return f"kept rows {'rise' if up else 'fall'}"
        return f"discarded rows lie {'below' if up else 'above'} the kept"


def direction_of(given: str | None, metric: str, items: Iterable[Item]) -> Direction:
    """Return which way a campaign's metric is better, and why.

    A name that tells weighs as much as one row: a single kept row that is a little worse than
    the one before must not turn val_bpb around.

    Args:
        given: What the user said, if anything.
        metric: Its name.
        items: The rows of its table in order.
    """
    votes = votes_of(item for item in items if item.metric == metric)
    named = by_name(metric)
    if given is not None:
        shown = "max" if votes.up > 0 else "min"
        doubt = f"{given} was given, but {votes.why(shown)}" if votes.up and shown != given else ""
        return Direction(given, "as given", doubt)
    total = votes.up + {"max": 1, "min": -1}.get(named, 0)
    way = "max" if total > 0 else "min"
    if total and votes.up * total > 0:
        return Direction(way, f"as {votes.why(way)}")
    if named:
        return Direction(named, f"as the name {metric} says")
    return Direction("min", "as neither rows nor name tell")


def by_name(metric: str) -> str:
    """Return which way is better by the words of a name, "" where they do not tell.

    >>> by_name("val_bpb"), by_name("Brier score"), by_name("top1_acc"), by_name("gap")
    ('min', 'min', 'max', '')
    """
    words = WORDS.findall(metric.lower())
    for way, known in (("min", LOWER), ("max", HIGHER)):
        if any(word.endswith(known) if len(word) > 5 else word in known for word in words):
            return way
    return ""


def votes_of(items: Iterable[Item]) -> Votes:
    """Count how rows lie; a discarded zero may be a run without a result and says nothing."""
    rises = falls = above = below = 0
    last: float | None = None
    for item in items:
        value = item.row.value
        if value is None or item.status in (None, Status.CRASH):
            continue
        if item.status is Status.KEEP:
            if last is not None:
                rises, falls = rises + (value > last), falls + (value < last)
            last = value
        elif last is not None and value:
            above, below = above + (value > last), below + (value < last)
    return Votes(rises, falls, above, below)
