"""The same program again: its result is known, if it was run under the same conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kg import vocab
from kg.check_fleet import Known, known_of, programs, told_of
from kg.check_model import Reason
from kg.fingerprint import fingerprint
from kg.graph import Graph
from kg.terms import MLS

BUDGET_RATIO: Final = 1.1
"""Training times that differ by more were other budgets: a clock is kept to within 2 %."""


@dataclass(frozen=True, slots=True)
class Same:
    """Where a program was run before."""

    here: tuple[Reason, ...] = ()  # under the conditions of this campaign, the latest first
    elsewhere: tuple[Reason, ...] = ()  # in other campaigns, under other conditions
    unchanged: bool = False  # it is the accepted program itself

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what else is to be said."""
        return ("the program is the accepted one, unchanged",) if self.unchanged else ()


def same_program(
    graph: Graph,
    source: str | None,
    accepted: str | None,
    campaign: str | None,
    as_of: int | None,
    scorer: str | None = None,
) -> Same:
    """Return the earlier runs of a program.

    A run in another campaign counts as one here if metric, data, scorer, device and training time
    are not known to differ; one in the campaign itself if it was not scored by another evaluation
    than its latest result, or than ``scorer``. Without a campaign every run counts.
    """
    if source is None:
        return Same()
    print_of = fingerprint(source)
    unchanged = accepted is not None and fingerprint(accepted) == print_of
    known = programs(graph, print_of)
    if as_of is not None:
        known = [one for one in known if one.campaign == campaign and one.seq <= as_of]
    if campaign is None:
        here, others = known, []
    else:
        last = latest(graph, campaign, as_of) if known else None
        last = last._replace(scorer=scorer) if last and scorer else last
        own = [one for one in known if one.campaign == campaign]
        here = [one for one in own if last is None or not other_scale(one, last)]
        unchanged = unchanged and bool(here or not own)
        others = [one for one in known if one not in here]
        alike = [one for one in others if last and one not in own and comparable(graph, one, last)]
        here = here or alike
        others = [one for one in others if one not in alike]
    here, others = sorted(here, key=measured), sorted(others, key=measured)
    return Same(tuple(map(ran, here[:-4:-1])), tuple(map(ran, others[:-3:-1])), unchanged)


def measured(one: Known) -> bool:
    """Tell whether a run says what the program is worth: those that do are told first."""
    return one.value is not None


def latest(graph: Graph, campaign: str, as_of: int | None) -> Known | None:
    """Return the latest experiment of a campaign with a value: how it measures now."""
    rows = [row for row in graph.board(campaign, as_of).rows if row.entry.value is not None]
    if not rows:
        return None
    node = vocab.experiment(rows[-1].name)
    return known_of(node, told_of(graph, node))


def other_scale(one: Known, last: Known) -> bool:
    """Tell whether two values are known not to be comparable; what nobody told differs in nothing.

    A changed scorer gives the same program another value.
    """
    pairs = (
        (one.metric, last.metric),
        (one.manifest, last.manifest),
        (one.scorer, last.scorer),
    )
    return any(left and right and left != right for left, right in pairs)


def comparable(graph: Graph, one: Known, last: Known) -> bool:
    """Tell whether a result of another campaign would be the same in this one."""
    if other_scale(one, last) or (one.device and last.device and one.device != last.device):
        return False
    times = seconds_of(graph, one.name), seconds_of(graph, last.name)
    return not all(times) or max(times) <= BUDGET_RATIO * min(times)


def seconds_of(graph: Graph, name: str) -> float:
    """Return the training time of an experiment, 0.0 if it is not known."""
    node = vocab.part(vocab.experiment(name), "summary", "training_seconds")
    return float(graph.value(node, MLS.hasValue) or 0.0)


def ran(one: Known) -> Reason:
    """Return an earlier run of a program as a reason."""
    lost = "crashed" if one.status == "crash" else "no result is known"
    result = lost if one.value is None else f"{one.metric} {one.value:.6f}"
    where = ", ".join(part for part in (one.status, one.device) if part)
    text = f"the same program ran as {one.name} {one.commit}".rstrip() + f": {result} ({where})"
    return Reason(one.name, one.commit, text, outcome=one.outcome)
