"""Where a campaign begins: its branch, and a baseline that could not be recorded made anew."""

from __future__ import annotations

from flows import ledger
from flows.errors import CampaignError, TrackingError
from flows.experiment import PENDING, pending_names
from flows.lab import Campaign, Lab, read_target
from flows.layout import lay_out
from flows.tracking import check_pipeline


def branch_of(lab: Lab, campaign: Campaign) -> str:
    """Return the tip of a campaign's branch, made from the present commit where there is none.

    The branch of a campaign whose baseline never came to be follows the user's: what kept the
    baseline from running is corrected there. Call it only while holding the campaign.

    Raises:
        FlowError: The present commit has no target, or no pipeline that can record a run.
    """
    tip, head = lab.repository.resolve(campaign.ref), lab.repository.head()
    if tip is None:
        check(lab, campaign, head)
        lab.repository.create_ref(campaign.ref, head)
        return head
    begun = ledger.names(lab.repository, campaign.tag) or pending_names(lab, campaign.tag)
    ours = campaign.target.is_file()  # else somebody else made it, at the commit they wanted
    if begun or not ours or not is_ahead(lab, tip, head):
        return tip
    return moved(lab, campaign, tip, head)


def anew(lab: Lab, campaign: Campaign, tip: str, error: TrackingError) -> str:
    """Give up a baseline that cannot be recorded, and begin again from the present commit.

    Its candidate holds the pipeline it failed with, so no correction could ever reach it.

    Raises:
        TrackingError: The campaign has experiments: what is pending is no baseline.
        CampaignError: The present commit is no correction of the one that failed.
    """
    tag = campaign.tag
    if ledger.names(lab.repository, tag):
        raise error
    head = lab.repository.head()
    if not is_ahead(lab, tip, head):
        raise CampaignError(
            f"campaign {tag}: its baseline cannot be recorded ({error}); commit a correction on "
            f"top of {tip[:7]} and run `nightlab start {tag}` again, or start another tag"
        ) from error
    found = moved(lab, campaign, tip, head)
    for name in pending_names(lab, tag):
        lab.repository.delete_ref(PENDING + name)
    return found


def is_ahead(lab: Lab, tip: str, head: str) -> bool:
    """Tell whether the present commit is a later one than a branch's."""
    return tip != head and lab.repository.is_ancestor(tip, head)


def moved(lab: Lab, campaign: Campaign, tip: str, head: str) -> str:
    """Move a branch without experiments to a later commit, and the work directory with it."""
    check(lab, campaign, head)
    lab.repository.swap_ref(campaign.ref, head, tip)
    lay_out(lab, campaign, head, campaign.work)
    return head


def check(lab: Lab, campaign: Campaign, commit: str) -> None:
    """Make sure that a campaign can begin at a commit.

    Raises:
        FlowError: It has no target, or no pipeline that can record a run.
    """
    read_target(lab, campaign, commit)
    check_pipeline(lab.repository, commit, campaign.task_name)
