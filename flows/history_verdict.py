"""The verdict and the parent of imported experiments, where a table does not state them.

Whatever is not written in a row is inferred, and the reason of the experiment says so:
a commit that a later one takes back was discarded, all others on a branch were kept. A commit
without a row that only puts an earlier program back is a step of the lineage and no attempt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from flows.foreign import Branch
from flows.history_join import Join
from flows.history_match import Plan, walk
from flows.history_rows import Item, Problem, row_text
from flows.versions import Versions
from kg.model import Status

REVERT = re.compile(r'\W*revert\W+"(?P<subject>.+)"', re.I)
REVERTED = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
INTERRUPTED = re.compile(r"\binterrupt(?:ed|ion)?\b", re.I)
RESTORES = re.compile(r"\b(?:re-?apply|revert|restor|undo|reset|roll(?:ed|ing)?[ -]?back)", re.I)
SAYS = re.compile(r"\W*(keep|discard|crash)(?:ed|es|ped)?\W*[:—–(-]", re.I)
SAYS_LATER = re.compile(r"[—–:(\[-]\s*(KEEP|DISCARD|CRASH)(?:ED)?\b")
STEPS_BACK = 60  # ancestors looked through for the version a commit puts back
UNDONE = 0.6  # of an edit's lines, for the next commit to count as its undoing
DIGITS = re.compile(r"\d[\d_.e+-]*")


def link(join: Join) -> None:
    """Give every commit the experiment it was edited from."""
    for plan in join.plans.values():
        version = plan.version
        if version is None or plan.parent is not None or plan.is_baseline:
            continue
        before = join.versions.previous(version)
        if before is not None:
            baseline = join.baselines.get((plan.branch.ref, before))
            plan.parent = baseline or join.plans.get(before)
            plan.parent_key = before


def infer(join: Join) -> None:
    """Give a verdict to every commit that no row is about."""
    for chains in join.chains.values():
        for chain in chains:
            for plan in chain:
                restore(join, plan)
            for plan, following in pairwise(chain):
                if following.parent is plan and plan.status is None and plan.item is None:
                    undo(join.versions, plan, following)
    for plan in join.plans.values():
        if plan.item is None and plan.status is None:
            says(plan)


def restore(join: Join, plan: Plan) -> None:
    """Mark a commit that puts an earlier version back, and what it takes back thereby."""
    versions, line = join.versions, list(walk(plan.parent))[:STEPS_BACK]
    told = RESTORES.search(message_of(plan))
    same = [
        i
        for i, old in enumerate(line)
        if versions.alike(old.version, plan.version)
        # what has failed before is a second try, unless the message says otherwise
        and (told or old.status is not Status.DISCARD)
    ]
    undone = line[: same[0]] if same else taken_back(plan, line)
    if same:
        does = "puts back" if same[0] else "leaves as it was"
        pass_on(plan, f"{does} the program of {short(line[same[-1]])}")
    elif undone and inverse(versions, plan, undone[0]):
        pass_on(plan, f"takes back {short(undone[0])} and no more")
    elif undone:
        decide(plan, Status.KEEP, f"takes back {short(undone[0])}")
    ours = [old for old in line if old.branch is plan.branch]  # a fork judges no other campaign
    for old in ours:
        if old in undone:
            take_back(old, plan, alone=len(undone) == 1)
        elif same and old is line[same[0]] and old.status is Status.DISCARD:
            decide(old, Status.KEEP, f"its file is put back by {short(plan)}")


def take_back(old: Plan, plan: Plan, alone: bool) -> None:
    """Give its verdict to an experiment that a commit takes back: cut off, if the commit says so.

    >>> bool(INTERRUPTED.search("revert interrupted softcap experiment"))
    True
    """
    decide(old, Status.DISCARD, f"taken back by {short(plan)}")
    if alone and old.item is None and INTERRUPTED.search(message_of(plan)):
        told = f"so says {short(plan)}, which takes it back"
        old.status, old.reason = Status.CRASH, f"interrupted: {told}; no table row"


def message_of(plan: Plan) -> str:
    """Return what the commit of an experiment says."""
    return plan.about.message if plan.about else ""


def pass_on(plan: Plan, why: str) -> None:
    """Let a commit without a row be a step of the accepted line and no attempt (kg.facts.APART)."""
    if plan.item is None:
        plan.status, plan.reason = Status.KEEP, f"lineage: {why}; no table row"


def inverse(versions: Versions, plan: Plan, old: Plan) -> bool:
    """Tell whether an edit undoes another and does nothing else, wherever the lines stand."""
    sides = (old.base, old.version, plan.base, plan.version)
    texts = [versions.text(versions.blobs.get(sha or "")) for sha in sides]
    known = [lines(text) for text in texts if text is not None]
    if len(known) < len(sides):
        return False
    before, after, then, now = known
    return (after - before, before - after) == (then - now, now - then)


def taken_back(plan: Plan, line: Sequence[Plan]) -> list[Plan]:
    """Return the experiment that a commit says it reverts, by hash or by subject."""
    message = message_of(plan)
    hashes, quoted = REVERTED.findall(message), REVERT.match(message)
    for old in line:
        subject = old.about.subject if old.about else None
        cited = any((old.commit or "").startswith(sha) for sha in hashes)
        if cited or (quoted and subject == quoted["subject"]):
            return [old]
    return []


def undo(versions: Versions, plan: Plan, following: Plan) -> None:
    """Discard a commit whose edit is gone in the next one: agents stop writing reverts."""
    texts = (versions.text(versions.blobs.get(sha or "")) for sha in (plan.base, plan.commit))
    before, after = texts
    then = versions.text(versions.blobs.get(following.commit or ""))
    if before is not None and after is not None and then is not None:
        share = undone_share(*map(lines, (before, after, then)))
        if share >= UNDONE:
            decide(plan, Status.DISCARD, f"its edit is undone in {short(following)}")


def undone_share(before: Counter[str], after: Counter[str], then: Counter[str]) -> float:
    """Return which part of an edit's lines the next version takes back.

    A line that comes again with other numbers is tuned, not undone.
    """
    added, removed = after - before, before - after
    back = then - after
    tuned = {DIGITS.sub("#", line) for line in back - removed}
    gone = Counter({k: n for k, n in (after - then).items() if DIGITS.sub("#", k) not in tuned})
    size = added.total() + removed.total()
    return ((added & gone).total() + (removed & back).total()) / size if size else 0.0


@lru_cache(maxsize=8)  # a version is looked at as the one before, the one after and the next
def lines(text: str) -> Counter[str]:
    """Return the lines of a file with their numbers of times, indentation aside."""
    return Counter(line.strip() for line in text.splitlines() if line.strip())


def says(plan: Plan) -> None:
    """Give a commit the verdict its subject states, else accept it: the branch went on."""
    subject = plan.about.subject if plan.about else ""
    found = SAYS.match(subject) or SAYS_LATER.search(subject)
    if found:
        decide(plan, Status(found[1].lower()), "its message says so")
    elif plan.loose:
        decide(plan, Status.DISCARD, "no branch holds it any more")
    else:
        decide(plan, Status.KEEP, "nothing takes it back")


def decide(plan: Plan, status: Status, why: str) -> None:
    """Infer the verdict of an experiment without a row; a row's own word stands."""
    if plan.item is None:
        plan.status = status
        plan.reason = f"no table row; inferred as {status}: {why}"


def short(plan: Plan) -> str:
    """Return how a reason names another experiment: by 7 digits of its commit."""
    return (plan.commit or plan.key)[:7]


def judge(
    branch: Branch, sequence: Iterable[Plan], start: Plan | None, direction: str
) -> tuple[list[Plan], list[Problem]]:
    """Give the rows of a campaign their verdicts, and lost experiments their parents.

    Args:
        branch: The campaign.
        sequence: Its experiments in order, those of others that its tables repeat among them.
        start: The experiment it was forked from.
        direction: "min" or "max": which way is better.
    Returns:
        The experiments, and the rows whose status says nothing and that have no value.
    """
    accepted, best = start, None
    good: list[Plan] = []
    problems: list[Problem] = []
    for plan in sequence:
        if plan.branch is not branch:
            if plan.status is Status.KEEP or (plan.item and plan.item.status is Status.KEEP):
                accepted = plan
            continue
        if plan.item is not None:
            value = plan.item.value(direction)
            better = value is not None and (best is None or beats(value, best, direction))
            status = plan.item.status or inferred(value, better)
            if status is None and plan.version is None:
                problems.append(undecided(plan.item))
                continue
            plan.status = status or (Status.DISCARD if plan.loose else Status.KEEP)
            plan.reason = row_reason(plan, plan.item, status)
            if plan.status is Status.KEEP and better:
                best = value
        if plan.version is None and (plan.parent is None or plan.status is Status.KEEP):
            plan.parent = accepted
        if plan.status is Status.KEEP:
            accepted = plan
        good.append(plan)
    return good, problems


def undecided(item: Item) -> Problem:
    """Return why a row makes no experiment: neither word nor value gives a verdict."""
    reason = f"status {item.row.status!r} is no verdict, and there is no value"
    return Problem(item.sheet.file, item.line, reason, row_text(item.row))


def inferred(value: float | None, better: bool) -> Status | None:
    """Return the verdict of a row whose status is no word of ours: better is kept."""
    if value is None:
        return None
    return Status.KEEP if better else Status.DISCARD


def beats(value: float, best: float, direction: str) -> bool:
    """Tell whether a value is better."""
    return value > best if direction == "max" else value < best


def row_reason(plan: Plan, item: Item, status: Status | None) -> str:
    """Return why an experiment has its verdict, as far as its row says."""
    word = item.row.status or "no status"
    if item.status is None:
        told = f"{word}; inferred as {plan.status} from " + (
            "its value" if status else "the branch"
        )
    else:
        told = word
    parts = [f"line {item.line} of {item.sheet.name}: {told}"]
    subject = plan.about.subject if plan.about else item.row.description
    if item.row.description and item.row.description != subject:
        parts.append(item.row.description)
    return "; ".join([*parts, plan.note] if plan.note else parts)


def last_kept(plan: Plan) -> Plan | None:
    """Return the last accepted experiment before one, by parents."""
    return next((old for old in walk(plan.parent) if old.status is Status.KEEP), None)
