"""What an import found, lost and refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from flows.history_rows import Problem

NAMED = 5  # campaigns a line names at the most
NO_ATTEMPT = {
    "interrupted": "interrupted, as the revert says",
    "lineage": "no table row, an earlier program put back",
}
SHOWN = 20  # campaigns and rejected lines people are shown; --json has all


@dataclass(frozen=True, slots=True)
class CampaignCount:
    """What became of one ref."""

    name: str
    ref: str
    experiments: int
    with_diff: int
    without_diff: int
    metric: str
    direction: str  # min or max: which way the metric is better
    why: str  # how that is known: `as kept rows rise`


@dataclass(frozen=True, slots=True)
class Account:
    """What an import found: nothing is dropped without standing here."""

    experiments: int  # none that is apart
    with_diff: int  # their version of the target is known
    without_diff: int  # only a table row is left of them
    statuses: Mapping[str, int]
    apart: Mapping[str, int]  # commits in the graph that were no attempt, by why (kg.facts.APART)
    rejected: tuple[Problem, ...]
    campaigns: tuple[CampaignCount, ...]
    commits: int  # that brought a new version of the target
    new: int  # new, changed and known are of all records, those apart included
    changed: int  # known before, now with another row, verdict or parent
    known: int
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the account as plain values."""
        return asdict(self)

    @classmethod
    def again(cls, data: Mapping[str, Any]) -> Self:
        """Return the account of an import that was done before and found the same."""
        known = data["experiments"] + sum(data["apart"].values())
        told: dict[str, Any] = dict(data, new=0, changed=0, known=known)
        told["rejected"] = tuple(Problem(**problem) for problem in data["rejected"])
        told["campaigns"] = tuple(CampaignCount(**count) for count in data["campaigns"])
        told["notes"] = tuple(data["notes"])
        return cls(**told)

    def lines(self) -> list[str]:
        """Return the account for people."""
        kinds = ", ".join(f"{number} {status}" for status, number in self.statuses.items())
        many = "1 campaign" if len(self.campaigns) == 1 else f"{len(self.campaigns)} campaigns"
        told = [
            f"{self.experiments} experiments of {many}: {kinds}",
            f"{self.with_diff} with diff,"
            f" {self.without_diff} without (lost: only their table row is left)",
            f"{self.new} new, {self.changed} changed, {self.known} known before;"
            f" {self.commits} commits in {self.seconds:.2f} s",
        ]
        beside = [f"{n} ({NO_ATTEMPT[why]})" for why, n in self.apart.items() if n]
        told += [f"beside them, and no attempts: {', '.join(beside)}"] if beside else []
        largest = sorted(self.campaigns, key=lambda count: -count.experiments)[:SHOWN]
        told += [
            f"  {count.name}: {count.experiments} experiments, {count.without_diff} without diff"
            for count in largest
            if count.experiments > 1
        ]
        told += self.directions()
        told += self.notes
        told.append(f"{len(self.rejected)} table lines rejected")
        told += [f"  {p.file} line {p.line}: {p.reason}" for p in self.rejected[:SHOWN]]
        if len(self.rejected) > SHOWN:
            told.append(f"  and {len(self.rejected) - SHOWN} more; --json lists them all")
        return told

    def directions(self) -> list[str]:
        """Say which way which campaigns' metric is better, and how that is known."""
        groups: dict[str, list[str]] = {}
        for count in self.campaigns:
            groups.setdefault(f"direction: {count.direction}, {count.why}", []).append(count.name)
        if len(groups) == 1:
            return list(groups)
        more = {way: len(names) - NAMED for way, names in groups.items() if len(names) > NAMED}
        return [
            f"{way} ({', '.join(names[:NAMED])}{f' and {more[way]} more' if way in more else ''})"
            for way, names in groups.items()
        ]
