"""Start, find and continue campaigns; run experiments in them one at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from flows import derived, ledger
from flows.baseline import anew, branch_of
from flows.comparable import accepted_entry, scorer_now
from flows.errors import CampaignError, TrackingError
from flows.experiment import (
    Clock,
    Proposal,
    begin,
    finish,
    run_attempt,
)
from flows.lab import MAX_SOURCE_BYTES, Campaign, Lab, Wishes, open_campaign, read_target
from flows.layout import lay_out
from flows.ledger import Entry
from flows.recovery import recover, was_interrupted
from trainer.run import Watch
from trainer.stage import environment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """One finished experiment and where its seconds went."""

    entry: Entry
    seconds: dict[str, float]


@contextmanager
def held(campaign: Campaign) -> Iterator[None]:
    """Hold a campaign: one experiment at a time.

    Raises:
        CampaignError: Another process holds it.
    """
    campaign.directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(campaign.directory / "lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        raise CampaignError(
            f"campaign {campaign.tag}: another nightlab is running an experiment in it; "
            "wait for it, or start another tag"
        ) from None
    try:
        os.utime(campaign.directory / "lock")
        yield
    finally:
        lock.release()


def start(
    lab: Lab, tag: str, wishes: Wishes, watch: Watch | None = None, agent: str = "agent"
) -> tuple[Campaign, Done]:
    """Start a campaign and run its baseline; a campaign that has one is only opened.

    Raises:
        FlowError: The target does not exist in git, or no run could be recorded.
        CampaignError: The data cannot be prepared, or a baseline cannot be recorded.
    """
    campaign, budget = open_campaign(lab, tag, wishes)
    with held(campaign):
        tip = branch_of(lab, campaign)
        try:
            settle(lab, campaign)
        except TrackingError as error:
            tip = anew(lab, campaign, tip, error)
        if not campaign.target.is_file():
            lay_out(lab, campaign, tip, campaign.work)
        last = last_entry(lab, tag)
        accepted = accepted_entry(lab, campaign, tip)
        if accepted or (last and not was_interrupted(last)):
            first = next(iter(ledger.entries(lab.repository, tag)))
            return campaign, Done(first, {})
        prepare(lab, campaign, budget)
        source = read_target(lab, campaign, tip)
        baseline = Proposal(source, "baseline", agent=agent)
        return campaign, experiment(lab, campaign, baseline, budget, watch)


def settle(lab: Lab, campaign: Campaign) -> list[Entry]:
    """Bring what an earlier runner left to its end, and the derived files up to it."""
    found = recover(lab, campaign)
    for entry in found:
        derived.update(lab, campaign, entry, Clock())
    return found


def experiment(
    lab: Lab,
    campaign: Campaign,
    proposal: Proposal,
    budget: float | None,
    watch: Watch | None = None,
) -> Done:
    """Run one experiment of a campaign that is held, and set the target to the accepted one."""
    clock = Clock()
    with clock("git"):
        attempt = begin(lab, campaign, proposal, budget)
        before = read_target(lab, campaign, attempt.parent)
    with clock("run"):
        run_attempt(lab, campaign, attempt, watch)
    entry = finish(lab, campaign, attempt, clock)
    derived.update(lab, campaign, entry, clock)
    with clock("git"):
        restore(lab, campaign, proposal.source, before)
    return Done(entry, clock.seconds)


Propose = Callable[[Campaign, bytes], Proposal]  # (campaign, accepted source) -> an edit


def attempt(
    lab: Lab,
    tag: str,
    propose: Propose,
    watch: Watch | None = None,
    begins: Callable[[], None] = lambda: None,
) -> tuple[Campaign, Done]:
    """Run one experiment in a campaign: what an agent edited, or what a researcher proposes.

    ``begins`` is called before it runs, and not where the proposal is refused.

    Raises:
        CampaignError: There is no campaign, nothing differs from the accepted version, or that
            one has no result yet to hold the edit against.
    """
    campaign, budget = open_campaign(lab, tag)
    if lab.repository.resolve(campaign.ref) is None:
        raise CampaignError(f"campaign {tag}: does not exist; run `nightlab start {tag}`")
    with held(campaign):
        settle(lab, campaign)
        tip = lab.repository.resolve(campaign.ref)
        assert tip is not None  # a branch is never deleted by us
        accepted = read_target(lab, campaign, tip)
        proposal = propose(campaign, accepted)
        if proposal.source == accepted and scorer_now(lab, campaign) is None:
            raise CampaignError(
                f"{campaign.target}: is the accepted version, there is nothing to try; "
                "edit it first"
            )
        if proposal.source != accepted and not proposal.forced_because and owed(lab, campaign, tip):
            raise CampaignError(
                f"campaign {tag}: the evaluation was changed and the accepted version has no result"
                f" under it, any edit would be kept; run `nightlab run {tag} -n 1` first, which"
                ' measures it (your edit is kept beside it), or add --force --because "..."'
            )
        begins()
        return campaign, experiment(lab, campaign, proposal, budget, watch)


def owed(lab: Lab, campaign: Campaign, tip: str) -> bool:
    """Tell whether the accepted version comes first, since its evaluation was changed.

    Nothing could be held against the first result then: it is kept whatever it measures, and of
    an edit nobody would know whether it is better. A version that crashed is not run again.
    """
    if scorer_now(lab, campaign) is None:
        return False
    last = last_entry(lab, campaign.tag)
    return last is None or was_interrupted(last) or last.parent_commit != tip


def restore(lab: Lab, campaign: Campaign, *known: bytes) -> None:
    """Write the accepted version of the target into the agent's work directory, only that.

    What stands there and is none of the ``known`` versions was never tried: it was written while
    an experiment ran, or before a batch of somebody else. It is kept beside the target.
    """
    tip = lab.repository.resolve(campaign.ref) or lab.repository.head()
    source = read_target(lab, campaign, tip)
    if not campaign.target.is_file():
        lay_out(lab, campaign, tip, campaign.work)
    keep_untried(campaign, (source, *known))
    temporary = campaign.target.with_suffix(".tmp")
    temporary.write_bytes(source)
    temporary.replace(campaign.target)


def keep_untried(campaign: Campaign, known: tuple[bytes, ...]) -> None:
    """Copy the target under a name of its own unless it is known."""
    target = campaign.target
    if target.is_symlink() or target.stat().st_size > MAX_SOURCE_BYTES:
        return  # no edit `try` would take
    found = target.read_bytes()
    if found in known:
        return
    digest = hashlib.sha256(found).hexdigest()
    kept = target.with_name(f"{target.stem}.untried-{digest[:8]}{target.suffix}")
    kept.write_bytes(found)
    log.warning("%s: held an edit that was never tried; it is kept as %s", target, kept.name)


def last_entry(lab: Lab, tag: str) -> Entry | None:
    """Return the last finished experiment of a campaign."""
    commits = list(ledger.names(lab.repository, tag).values())
    return ledger.read_entry(lab.repository, commits[-1]) if commits else None


def prepare(lab: Lab, campaign: Campaign, budget: float | None) -> None:
    """Run the task's `prepare` command on the committed files; it returns at once if all is there.

    Raises:
        CampaignError: It failed; its last line says why.
    """
    task = campaign.task
    if not task.prepare:
        return
    for name in task.inputs:  # the data is shared by all campaigns, so it lies in the checkout
        (lab.root / name).mkdir(parents=True, exist_ok=True)
        place = campaign.work / name
        if not place.exists():
            place.symlink_to((lab.root / name).resolve())
    words = task.prepare.split()
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    env = {**os.environ, **environment(campaign.profile, budget)}
    done = subprocess.run(words, cwd=campaign.work, env=env, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise CampaignError(f"`{task.prepare}` failed: {said}")
