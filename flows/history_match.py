"""Experiments to be, and how table rows and commits are recognised as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flows.foreign import Branch
from flows.history_rows import Item
from flows.objects import Commit
from kg.edit import APART
from kg.model import Status

NUMBERED = re.compile(
    r"\W*(?:experiment\W+)?(?:exp|experiment|trial|iter|iteration|run)[\s_#-]*0*(\d{1,5})\b", re.I
)
PREFIX = re.compile(r"\W*(?:(?:exp|experiment|trial|iter|iteration|run)[\s_#-]*\d*\W+)+", re.I)


@dataclass(eq=False, slots=True)
class Plan:
    """An experiment to be: what commits and rows say of it so far."""

    key: str  # the same in every import: a commit's hash, or a row's key
    branch: Branch
    commit: str | None = None  # holds this version of the target; None if that is lost
    version: str | None = None  # the commit that brought the version: itself, or one before
    base: str | None = None  # the commit it was edited from
    parent: Plan | None = None
    parent_key: str | None = None  # of a parent that is not part of this import
    item: Item | None = None
    others: list[Item] = field(default_factory=list)  # rows of further tables on the same run
    status: Status | None = None
    reason: str = ""
    note: str = ""  # why its diff is lost, or how its row was found
    is_baseline: bool = False
    loose: bool = False  # its commit exists, but no branch holds it
    about: Commit | None = None

    @property
    def apart(self) -> str:
        """Say why it is no attempt, "" if it is one."""
        return next(filter(self.reason.startswith, APART), "")


def lead(cited: Iterable[tuple[Item, str | None]]) -> set[Item]:
    """Return the rows whose hash is their own: of those on one commit the first that is kept.

    Where several rows are on one commit and none was kept, all of them cite their parent.
    """
    groups: dict[str, list[Item]] = {}
    for item, at in cited:
        groups.setdefault(at or item.hash or item.key, []).append(item)
    found = set[Item]()
    for items in groups.values():
        own = items if len(items) == 1 else [item for item in items if keeps(item)]
        found.update(own[:1])
    return found


def keeps(item: Item) -> bool:
    """Tell whether a row is about an accepted experiment."""
    return item.status is Status.KEEP


def another_run(one: Item, other: Item) -> bool:
    """Tell whether two rows on one commit are two measurements and not one told twice."""
    if one.metric != other.metric or one.row.value is None or other.row.value is None:
        return False
    return abs(one.row.value - other.row.value) > 1e-3 * abs(one.row.value)


def merge(sequence: list[Plan], told: Sequence[Plan]) -> None:
    """Put the experiments of a table into a sequence, each new one after its predecessor."""
    placed = set(sequence)
    first = next((plan for plan in told if plan in placed), None)
    at = sequence.index(first) if first else len(sequence)
    for plan in dict.fromkeys(told):
        if plan in placed:
            at = sequence.index(plan) + 1
        else:
            sequence.insert(at, plan)
            at += 1


def merge_before(sequence: list[Plan], chain: Sequence[Plan]) -> None:
    """Put commits without a row before the next commit that has one, and before their children."""
    at, placed = len(sequence), set(sequence)
    for plan in reversed(chain):
        if plan in placed:
            at = sequence.index(plan)
        else:
            at = next((i for i, child in enumerate(sequence[:at]) if child.parent is plan), at)
            at = 0 if plan.is_baseline else at
            sequence.insert(at, plan)


def unique(pairs: Iterable[tuple[object, Plan]]) -> dict[object, Plan]:
    """Return what belongs to exactly one key; None and "" are no keys."""
    found = [(key, plan) for key, plan in pairs if key not in (None, "")]
    counts = Counter(key for key, _ in found)
    return {key: plan for key, plan in found if counts[key] == 1}


def experiment_number(plan: Plan) -> int | None:
    """Return the number a commit's subject begins with: 7 of `exp7: depth 9`."""
    found = NUMBERED.match(plan.about.subject) if plan.about else None
    return int(found[1]) if found else None


def told_text(text: str) -> str:
    """Return a subject or description without its number, case and punctuation."""
    return " ".join(re.findall(r"[\w.]+", PREFIX.sub("", text, count=1).lower()))


def share_a_word(plan: Plan, item: Item) -> bool:
    """Tell whether subject and description have something in common."""
    subject = set(told_text(plan.about.subject if plan.about else "").split())
    return bool(subject & set(told_text(item.row.description).split()))


def walk(plan: Plan | None) -> Iterator[Plan]:
    """Yield an experiment's ancestors, itself first."""
    while plan is not None:
        yield plan
        plan = plan.parent
