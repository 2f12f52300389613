"""From refs and tables to the experiments of each campaign, in order and with verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.foreign import Branch, Foreign
from flows.history_direction import Direction, direction_of
from flows.history_join import Join
from flows.history_match import Plan
from flows.history_rows import Item, Problem, Sheet, items_of, row_text
from flows.history_verdict import infer, judge, link
from flows.objects import Objects
from flows.versions import Versions
from kg.edit import APART

METRIC = "val_bpb"  # of a campaign without a table, where the user names none


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for, apart from the place."""

    refs: Sequence[str]
    target: str
    metric: str | None
    direction: str | None  # None: to be seen from the tables


@dataclass(frozen=True, slots=True)
class Campaign:
    """One ref as a campaign."""

    branch: Branch
    plans: tuple[Plan, ...]  # in order
    metric: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class History:
    """Everything an import is about to record."""

    versions: Versions
    campaigns: tuple[Campaign, ...]
    problems: tuple[Problem, ...]
    commits: int  # that brought a new version


Read = tuple[Sheet, list[Item]]


def plan_history(
    foreign: Foreign,
    branches: Sequence[Branch],
    sheets: Iterable[Sheet],
    wish: Wish,
    trunk: str | None,
) -> History:
    """Join commits and rows; decide order, verdicts and parents.

    Args:
        foreign: The repository.
        branches: Its refs, in the order in which they lay claim to shared commits.
        sheets: All tables.
        wish: What the user asked for.
        trunk: Tip of the line that campaigns fork from.
    """
    read, problems = read_all(sheets, wish.metric)
    branches = by_rows(branches, read, trunk)
    shas = resolve(foreign.objects, (item for _, items in read for item in items))
    tips = [branch.tip for branch in branches] + ([trunk] if trunk else [])
    versions = Versions(foreign.objects, wish.target, [*tips, *shas.values()])
    join = Join(versions, branches, trunk)
    tables, strays = put_tables(join, read, shas)
    problems += strays
    link(join)
    infer(join)
    made = []
    for branch in branches:
        metric = metric_of(wish, tables[branch.ref])
        direction = direction_of(wish.direction, metric, rows_in(metric, tables[branch.ref]))
        ordered, start = join.ordered(branch), start_of(join, branch)
        plans, refused = judge(branch, ordered, start, direction.way)
        problems += refused
        made.append(Campaign(branch, tuple(plans), metric, direction))
    commits = sum(plan.key == plan.commit for plan in join.plans.values())
    return History(versions, tuple(made), tuple(problems), commits)


def read_all(sheets: Iterable[Sheet], metric: str | None) -> tuple[list[Read], list[Problem]]:
    """Return the tables with their rows, and the lines that are none."""
    read: list[Read] = []
    problems: list[Problem] = []
    for sheet in sheets:
        items, refused = items_of(sheet, metric)
        read.append((sheet, items))
        problems += refused
    return read, problems


def by_rows(branches: Sequence[Branch], read: Iterable[Read], trunk: str | None) -> list[Branch]:
    """Return the trunk, then refs with tables, the longest first, then the rest.

    A table that grows from one pull request to the next stays one campaign that way.
    """
    rows = Counter[str]()
    for sheet, items in read:
        rows[sheet.ref or ""] = max(rows[sheet.ref or ""], len(items))

    def order(branch: Branch) -> tuple[bool, int]:
        return branch.tip != trunk, -max(rows[ref] for ref in (branch.ref, *branch.also))

    return sorted(branches, key=order)


def resolve(objects: Objects, items: Iterable[Item]) -> dict[str, str]:
    """Return the full hash of every cited commit that exists and is not ambiguous."""
    cited = sorted({item.hash for item in items if item.hash})
    found = objects.find([f"{sha}^{{commit}}" for sha in cited])
    return {sha: entry.sha for sha, entry in zip(cited, found, strict=True) if entry}


def put_tables(
    join: Join, read: Sequence[Read], shas: dict[str, str]
) -> tuple[dict[str, list[Read]], list[Problem]]:
    """Join all tables, those with most rows first; they by ref, and those of other campaigns.

    A campaign's longest table gives its order: others are extracts, such as one of the keeps.
    """
    tables: dict[str, list[Read]] = {branch.ref: [] for branch in join.branches}
    strays: list[Problem] = []
    for sheet, items in read:
        branch = join.branch_of(sheet, [shas.get(item.hash or "") for item in items])
        if branch is not None:
            tables[branch.ref].append((sheet, items))
        elif items:
            reason = f"no row (of {len(items)}) cites a commit of the refs imported: left out"
            strays.append(Problem(sheet.file, items[0].line, reason, row_text(items[0].row)))
    for branch in join.branches:
        ours = tables[branch.ref]
        ours.sort(key=lambda pair: (-len(pair[1]), pair[0].name, pair[0].data))
        for _, items in ours:
            for item in items:
                if item.hash in shas:
                    join.claim(branch, shas[item.hash], loose=True)
            join.add_table(branch, items, shas)
    return tables, strays


def start_of(join: Join, branch: Branch) -> Plan | None:
    """Return the experiment a campaign was forked from, in whatever campaign that is."""
    return join.plans.get(join.fork(branch) or "")


def metric_of(wish: Wish, tables: Sequence[Read]) -> str:
    """Return the metric of a campaign: the one asked for, else that of its longest table."""
    if wish.metric is not None:
        return wish.metric
    named = (item.metric for _, items in tables for item in items)
    return next(filter(None, named), METRIC)


def rows_in(metric: str, tables: Sequence[Read]) -> list[Item]:
    """Return the rows of a campaign's longest table that has a metric."""
    found = (items for _, items in tables if any(item.metric == metric for item in items))
    return next(found, [])


def notes(history: History) -> tuple[str, ...]:
    """Return what should be known of a history beside its numbers."""
    versions = history.versions
    doubts = ((c.branch.name, c.direction.doubt) for c in history.campaigns if c.plans)
    told = [f"{name}: direction {doubt}" for name, doubt in doubts if doubt]
    if not versions.blobs and history.campaigns:
        places = versions.namesakes(history.campaigns[0].branch.tip)
        found = f" (there is {', '.join(places)})" if places else ""
        told.append(f"{versions.target}: is in none of these commits{found}; give --target")
    if versions.cut:
        told.append(
            f"shallow clone: commits whose change is unknown: {len(versions.cut)};"
            " run git fetch --unshallow and import again"
        )
    if versions.too_large:
        told.append(f"versions of the target over 16 MiB, not read: {len(versions.too_large)}")
    mixed = sum(map(versions.mixes, versions.parents))
    if mixed:
        told.append(f"merges with a version that neither side had, no experiments: {mixed}")
    return tuple(told)


def first_number(plans: Sequence[Plan]) -> int:
    """Return 0 if a campaign begins with its baseline, else 1."""
    first = plans[0]
    texts = [first.about.subject if first.about else ""]
    texts += [first.item.row.description] if first.item else []
    named = any("baseline" in text.lower() for text in texts)
    return 0 if first.is_baseline or named else 1


def counts(plans: Iterable[Plan]) -> dict[str, int]:
    """Return how many experiments have each verdict; none of them is apart."""
    found = Counter(str(plan.status) for plan in plans if not plan.apart)
    return {status: found[status] for status in ("keep", "discard", "crash")}


def apart(plans: Iterable[Plan]) -> dict[str, int]:
    """Return how many commits were no attempt, by why."""
    found = Counter(plan.apart for plan in plans)
    return {why: found[why] for why in APART}
