"""Commits and table rows of a foreign history, joined into one list of experiments a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from flows.foreign import Branch
from flows.history_match import (
    Plan,
    another_run,
    experiment_number,
    keeps,
    lead,
    merge,
    merge_before,
    share_a_word,
    told_text,
    unique,
)
from flows.history_rows import Item, Sheet
from flows.versions import Versions


class Join:
    """Which commit belongs to which campaign, and which row to which commit."""

    def __init__(self, versions: Versions, branches: Sequence[Branch], trunk: str | None) -> None:
        """Give every commit to the first campaign that reaches it.

        Args:
            versions: The target over all commits.
            branches: In the order in which they lay claim.
            trunk: Tip of the line they fork from; its commits belong to no other campaign.
        """
        self.versions, self.branches = versions, branches
        self.plans: dict[str, Plan] = {}
        self.chains: dict[str, list[list[Plan]]] = {branch.ref: [] for branch in branches}
        self.forks: dict[str, str | None] = {}
        self.seen: set[str] = set()
        self.baselines: dict[tuple[str, str | None], Plan] = {}  # by ref and version
        mainline = set[str]()
        if trunk is not None and all(branch.tip != trunk for branch in branches):
            list(versions.order(trunk, mainline))
        for branch in branches:
            if branch.tip not in mainline:
                self.seen |= mainline
            self.claim(branch, branch.tip)
        self.sequences = {branch.ref: list[Plan]() for branch in branches}

    def claim(self, branch: Branch, tip: str, loose: bool = False) -> None:
        """Make experiments of the commits below a tip that no campaign has yet."""
        commits = list(self.versions.order(tip, self.seen))
        if branch.ref not in self.forks:
            oldest = commits[0] if commits else None
            self.forks[branch.ref] = self.versions.base(oldest) if oldest else tip
        made = [self.plan_of(branch, c, loose) for c in commits if self.versions.touches(c)]
        if made:
            self.chains[branch.ref].append(made)

    def plan_of(self, branch: Branch, commit: str, loose: bool) -> Plan:
        """Return the experiment of a commit that brought a new version."""
        plan = Plan(commit, branch, commit, commit, self.versions.base(commit), loose=loose)
        plan.about = self.versions.objects.commit(commit)
        plan.is_baseline = plan.base is None
        self.plans[commit] = plan
        return plan

    def fork(self, branch: Branch) -> str | None:
        """Return the commit that brought the version a campaign began with."""
        return self.versions.at(self.forks[branch.ref])

    def branch_of(self, sheet: Sheet, shas: Iterable[str | None]) -> Branch | None:
        """Return the campaign a table tells: its own, or the one most of its hashes are in.

        A table that cites nothing goes to the first campaign if the user named it, and to
        none if it only lay beside another branch.
        """
        known = (b for b in self.branches if sheet.ref in (b.ref, *b.also))
        own = next(known, None)
        if own is not None:
            return own
        cited = Counter(
            self.plans[at].branch.ref
            for at in map(self.versions.at, shas)
            if at is not None and at in self.plans
        )
        if not cited and sheet.ref is not None:
            return None
        return max(self.branches, key=lambda branch: cited[branch.ref])

    def add_table(self, branch: Branch, items: Sequence[Item], shas: dict[str, str]) -> None:
        """Join the rows of one table to the experiments of a campaign.

        Args:
            branch: The campaign.
            items: All rows in order.
            shas: The full hash of each cited commit that exists.
        """
        cited = [self.cited(branch, item, shas) for item in items]
        self.number(branch, items, cited)
        leaders = lead(zip(items, cited, strict=True))
        hashes = Counter(item.hash for item in items)
        told: list[Plan] = []
        for item, at in zip(items, cited, strict=True):
            ours = item in leaders
            if at is None:
                told.append(self.lost(branch, item, ours, shas))
            elif ours:
                told.append(self.joined(branch, item, at, shas.get(item.hash or "")))
            else:
                sha = shas.get(item.hash or "", at)
                alone = sha != at and (keeps(item) or hashes[item.hash] == 1)
                told.append(self.parents_row(branch, item, at, sha if alone else None))
        merge(self.sequences[branch.ref], told)

    def cited(self, branch: Branch, item: Item, shas: dict[str, str]) -> str | None:
        """Return the commit whose version a row is about, None if that is lost."""
        sha = shas.get(item.hash or "")
        if sha is not None:
            return self.versions.at(sha) if sha in self.versions.blobs else None
        if not item.is_baseline:
            return None
        chain = next(iter(self.chains[branch.ref]), [])
        return self.fork(branch) or (chain[0].commit if chain else None)

    def number(self, branch: Branch, items: Sequence[Item], cited: list[str | None]) -> None:
        """Find the commits of rows without a hash: by number, or by the very same text."""
        free = [p for chain in self.chains[branch.ref] for p in chain if p.commit not in cited]
        numbers = unique((experiment_number(p), p) for p in free)
        texts = unique((told_text(p.about.subject if p.about else ""), p) for p in free)
        rows = [i for i, item in enumerate(items) if item.hash is None and cited[i] is None]
        ordinal = not any(item.hash or item.number is not None for item in items)
        runs = [i for i in rows if not items[i].is_baseline]
        for i in rows:
            item = items[i]
            plan = numbers.get(item.number)
            if plan is None and ordinal and i in runs:
                plan = numbers.get(runs.index(i) + 1)
                plan = plan if plan and share_a_word(plan, item) else None
            plan = plan or texts.get(told_text(item.row.description) or None)
            if plan is not None and plan.commit not in cited:
                cited[i] = plan.commit

    def joined(self, branch: Branch, item: Item, at: str, sha: str | None) -> Plan:
        """Return the experiment of a row whose version exists, with the row put to it."""
        plan = self.plans.get(at)
        rows = [plan.item, *plan.others] if plan else []
        copied = any(row is not None and row.key == item.key for row in rows)
        if at == self.fork(branch) and not copied:
            plan = self.baseline(branch, item, at, sha or self.forks[branch.ref] or at)
        elif plan is None:  # on the trunk, which is not imported
            plan = self.again(branch, item, at, sha or at)
        if plan.item is None:
            plan.item = item
        elif plan.item is not item:
            if another_run(plan.item, item):
                plan = self.again(branch, item, at, sha or at)
            plan.others.append(item)
        return plan

    def baseline(self, branch: Branch, item: Item, at: str, sha: str) -> Plan:
        """Return the experiment of a campaign's first version, which another line brought."""
        if (branch.ref, at) not in self.baselines:
            plan = Plan(f"{item.key}:{item.row.value}", branch, sha, at, is_baseline=True)
            plan.about = self.versions.objects.commit(sha)
            self.baselines[branch.ref, at] = self.plans.setdefault(plan.key, plan)
        return self.baselines[branch.ref, at]

    def again(self, branch: Branch, item: Item, at: str, sha: str) -> Plan:
        """Return the experiment of a version that was run once more, or belongs to no campaign."""
        if item.key not in self.plans:
            note = f"a further run of commit {at[:7]}" if at in self.plans else ""
            plan = Plan(item.key, branch, sha, at, self.versions.base(at), item=item, note=note)
            plan.about = self.versions.objects.commit(sha)
            self.plans[item.key] = plan
        return self.plans[item.key]

    def lost(self, branch: Branch, item: Item, ours: bool, shas: dict[str, str]) -> Plan:
        """Return the experiment of a row whose version is gone.

        Args:
            branch: The campaign.
            item: The row.
            ours: Whether the hash it cites is its own and not its parent's.
            shas: The full hash of each cited commit that exists.
        """
        key = f"lost:{item.hash}" if ours and item.hash else item.key
        known = self.plans.get(key)
        if known and known.item and another_run(known.item, item):
            key = item.key
        elif known and known.item and known.item.key != item.key:
            known.others.append(item)  # another table on the same commit
        if key not in self.plans:
            plan = Plan(key, branch, item.hash if ours else None, item=item)
            if item.hash in shas:
                plan.note = f"commit {item.hash} does not hold the target: no diff"
            elif item.hash:
                plan.note = f"commit {item.hash} no longer exists: its diff is lost"
            self.plans[key] = plan
        return self.plans[key]

    def parents_row(self, branch: Branch, item: Item, at: str, sha: str | None) -> Plan:
        """Return the experiment of a row that cites a version another row is about.

        A discarded commit is reset before its row is written, so `git rev-parse HEAD` gives
        the parent: the hash is present and the diff is not.

        Args:
            branch: The campaign.
            item: The row.
            at: The commit that brought the version.
            sha: The commit cited, if it is the row's own and leaves the target as it was.
        """
        if item.key not in self.plans:
            plan = Plan(item.key, branch, sha, base=at, item=item)
            if sha is None:
                plan.note = f"cites {item.row.commit}, its parent's commit: its diff is lost"
                plan.parent = self.baselines.get((branch.ref, at)) or self.plans.get(at)
            else:
                plan.note = f"commit {item.hash} does not change the target"
            self.plans[item.key] = plan
        return self.plans[item.key]

    def ordered(self, branch: Branch) -> list[Plan]:
        """Return a campaign's experiments: table order, each other commit before its successor.

        Experiments of other campaigns that its tables repeat are among them.
        """
        sequence = self.sequences[branch.ref]
        for chain in self.chains[branch.ref]:
            merge_before(sequence, chain)
        return sequence
