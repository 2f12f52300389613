"""Import of any autoresearch history: branches, tables and lost commits, accounted for.

The repository is read, never written. Every commit that brought a new version of the target
and every row of a results table becomes one experiment; what cannot be recovered is said.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows import history_rows as tables
from flows.foreign import Branch, Foreign, branches, head, opened
from flows.foreign import refs as all_refs
from flows.foreign import trunk as trunk_of
from flows.history_account import Account, CampaignCount
from flows.history_names import Book, opened_book
from flows.history_plan import (
    Campaign,
    History,
    Wish,
    apart,
    counts,
    first_number,
    notes,
    plan_history,
)
from flows.history_records import light_record, mark, runner, with_sources
from flows.history_rows import Sheet
from flows.revisions import revision_changes
from flows.versions import target_path
from kg.memory import open_memory
from kg.record import ExperimentRecord

__all__ = ["Account", "import_history", "revision_changes"]

Progress = Callable[[int], None]


def import_history(
    source: str | Path,
    *,
    refs: Sequence[str] = (),
    target: str = "train.py",
    results: Sequence[Path] = (),
    metric: str | None = None,
    direction: str | None = None,
    store: Path,
    progress: Progress | None = None,
) -> Account:
    """Build the graph of a repository that has never heard of nightlab.

    Args:
        source: A work tree, bare repository or git directory, or a URL to be cloned.
        refs: What to import; by default all branches and pull requests.
        target: The file the agent edited, as a path in the repository.
        results: Tables beside those found at the tips of refs and in the work tree.
        metric: Column of the tables; by default each table's first number.
        direction: "min" or "max": which way the metric is better; by default as each table shows.
        store: Directory of the memory; made if it does not exist.
        progress: Called with the number of experiments understood so far.

    Raises:
        RepositoryError: The repository or a ref cannot be read.
        FlowError: A table named cannot be read, or another import is running.
        KgError: The memory cannot be written.
    """
    begun = time.monotonic()
    wish = Wish(refs, target_path(target), metric, direction)
    given = tables.given_sheets(results)
    with opened(source) as foreign, opened_book(store) as book:
        found = branches(foreign.objects, wish.refs)
        known = all_refs(foreign.objects)
        trunk = known.get(trunk_of(foreign.objects, known) or "")
        loose = tables.loose_sheets(foreign, wish.target, head(foreign.objects)[0] or "HEAD")
        source_of = Source(foreign, tuple(found), (*given, *loose), trunk)
        account = take_in(source_of, wish, book, store, progress)
    return replace(account, seconds=round(time.monotonic() - begun, 3))


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported."""

    foreign: Foreign
    branches: tuple[Branch, ...]
    sheets: tuple[Sheet, ...]  # those that are not in the branches' own trees
    trunk: str | None  # tip of the line that campaigns fork from


def take_in(
    source: Source, wish: Wish, book: Book, store: Path, progress: Progress | None
) -> Account:
    """Add what a memory does not have yet; nothing is read where nothing can be new."""
    memory = open_memory(store)
    present = set(memory.names())
    key = fingerprint(source, wish)
    if key in book.done and present.issuperset(book.digests):
        return Account.again(book.done[key])
    tracked = tables.tracked_sheets(source.foreign.objects, source.branches, wish.target)
    sheets = tables.distinct([*source.sheets, *tracked])
    history = plan_history(source.foreign, source.branches, sheets, wish, source.trunk)
    account, fresh = name_all(history, source.foreign, book, present)
    memory.add_all(fresh, progress)
    if account.changed:  # what another import had recorded is no longer so
        book.done.clear()
    book.done[key] = account.to_json()
    book.save()
    return account


def fingerprint(source: Source, wish: Wish) -> str:
    """Return a hash of all an import depends on: equal ones make equal graphs."""
    parts = [source.foreign.origin, wish.target, str(wish.metric), str(wish.direction)]
    parts.append(str(source.trunk))
    parts += sorted(f"{branch.ref} {branch.tip}" for branch in source.branches)
    tables_read = ((s.file, s.ref, hashlib.sha256(s.data).hexdigest()) for s in source.sheets)
    parts += sorted(map(str, tables_read))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def count_of(tag: str, campaign: Campaign) -> CampaignCount:
    """Return what became of one ref."""
    tried = [plan for plan in campaign.plans if not plan.apart]
    recovered, total = sum(plan.version is not None for plan in tried), len(tried)
    metric, way, why = campaign.metric, campaign.direction.way, campaign.direction.why
    sums = (total, recovered, total - recovered)
    return CampaignCount(tag, campaign.branch.ref, *sums, metric, way, why)


def name_all(
    history: History, foreign: Foreign, book: Book, present: set[str]
) -> tuple[Account, list[ExperimentRecord]]:
    """Name the experiments; return the account and the records the memory does not have."""
    strangers = {name.rpartition("-")[0] for name in present - set(book.names.values())}
    filled = [campaign for campaign in history.campaigns if campaign.plans]
    told = []
    for campaign in filled:
        owners = [f"{foreign.origin} {r}" for r in (campaign.branch.ref, *campaign.branch.also)]
        tag = book.campaign(campaign.branch.name, owners, strangers)
        book.assign(tag, campaign.plans, first_number(campaign.plans))
        told.append(count_of(tag, campaign))
    book.save()  # before the graph is written: an import cut off gives the same names again
    fresh, new = list[ExperimentRecord](), 0
    for campaign in filled:
        agent, way = runner(campaign.plans), campaign.direction.way
        for plan in campaign.plans:
            light = light_record(plan, book, campaign.metric, way, agent)
            digest = mark(light, plan, history.versions)
            known = book.digests.get(light.name, "") if light.name in present else ""
            if known == digest or (known.endswith("+") and not plan.item):
                continue  # nothing new, or its row is not among the tables of this import
            fresh.append(with_sources(light, plan, history.versions))
            new += light.name not in present
            book.digests[light.name] = digest
    everything = [plan for campaign in filled for plan in campaign.plans]
    account = Account(
        experiments=sum(count.experiments for count in told),
        with_diff=sum(count.with_diff for count in told),
        without_diff=sum(count.without_diff for count in told),
        statuses=counts(everything),
        apart=apart(everything),
        rejected=history.problems,
        campaigns=tuple(told),
        commits=history.commits,
        new=new,
        changed=len(fresh) - new,
        known=len(everything) - len(fresh),
        notes=notes(history),
    )
    return account, fresh
