"""The verdict: keep, discard or crash, and why, in one sentence.

The rule (nightlab.toml, program.md): a better metric is kept; an equal one (within the
tolerance) is kept if the program got smaller, as a simplification; a gain within the tolerance
that adds much code is discarded, and so is another seed whatever it measured. Upstream asks the
agent to weigh this; a program does it the same way every time.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows.config import VerdictRule
from kg.model import Status

SEED_ALONE = "another seed is noise, no improvement"


@dataclass(frozen=True, slots=True)
class Size:
    """What an edit did to the amount of code."""

    lines_added: int
    lines_removed: int
    nodes: int  # AST nodes after minus before; formatting and comments do not count

    @property
    def lines(self) -> int:
        """Net lines."""
        return self.lines_added - self.lines_removed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an experiment."""

    status: Status
    reason: str
    delta: float | None  # value minus best before, None where either is missing


def judge(
    value: float | None,
    problem: str,
    best: float | None,
    size: Size,
    rule: VerdictRule,
    direction: str = "minimise",
    *,
    seed_alone: bool = False,
) -> Verdict:
    """Decide on one result.

    Args:
        value: The metric, None if the run has no score.
        problem: Why it has none.
        best: The best accepted value so far, None before the first result.
        size: What the edit did to the amount of code.
        rule: Tolerance and what counts as much code.
        direction: `minimise` or `maximise`.
        seed_alone: The edit changes nothing but the seed.
    """
    if value is None:
        return Verdict(Status.CRASH, problem or "crash: no result", None)
    if best is None:
        return Verdict(Status.KEEP, "first result of the campaign", None)
    delta = value - best
    if seed_alone:
        return Verdict(Status.DISCARD, SEED_ALONE, delta)
    return by_gain(delta, -delta if direction == "minimise" else delta, size, rule, direction)


def by_gain(delta: float, gain: float, size: Size, rule: VerdictRule, direction: str) -> Verdict:
    """Decide on a measured result by what it gained and what it did to the program."""
    word = "lower" if direction == "minimise" else "higher"
    if gain > rule.tolerance:
        return Verdict(Status.KEEP, f"{word} by {gain:.6f}", delta)
    within = f"within the tolerance of {rule.tolerance:g}"
    if gain > 0 and size.lines > rule.much_code:
        reason = f"{word} by only {gain:.6f}, {within}, for {size.lines} more lines of code"
        return Verdict(Status.DISCARD, reason, delta)
    if gain > 0:
        return Verdict(Status.KEEP, f"{word} by {gain:.6f}, {within}", delta)
    if gain >= -rule.tolerance and size.nodes < 0:
        reason = f"simplification: equal {within}, {-size.nodes} AST nodes less"
        return Verdict(Status.KEEP, reason, delta)
    if gain == 0:
        return Verdict(Status.DISCARD, "equal, and no simpler", delta)
    return Verdict(Status.DISCARD, f"not {word}: worse by {-gain:.6f}", delta)
