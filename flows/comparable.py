"""Which earlier result a run may be held against: of the same evaluation, on the same data.

A user may commit another evaluation onto a campaign's branch; its values and those before it say
nothing about each other, and the first run after it is a baseline anew.
"""

from __future__ import annotations

from flows import ledger
from flows.lab import Campaign, Lab
from flows.ledger import Entry
from flows.scorer import scorer_of
from kg.graph import Graph

ANEW = "first result since the evaluation or the data was changed, the comparison begins anew"


def accepted_entry(lab: Lab, campaign: Campaign, tip: str) -> Entry | None:
    """Return the experiment the accepted branch is at, None before the first kept one."""
    entry = ledger.read_entry(lab.repository, tip)
    return entry if entry and entry.facts.campaign == campaign.tag else None


def best_to_beat(lab: Lab, campaign: Campaign, accepted: Entry | None, tip: str) -> float | None:
    """Return the best result so far, None where nothing was measured as runs of a tip are."""
    if accepted is None:
        return None
    scorer = changed_scorer(lab, campaign, accepted, tip)
    return accepted.best if scorer is None else None


def changed_scorer(lab: Lab, campaign: Campaign, accepted: Entry | None, tip: str) -> str | None:
    """Return the hash of what scores a run of a tip, None unless it scored nothing accepted yet."""
    if accepted is None or ledger.is_experiment(lab.repository, accepted):
        return None
    known = ledger.names(lab.repository, campaign.tag).get(accepted.facts.name)
    commit = known or ledger.first_with(lab.repository, accepted)
    words = campaign.task_name, campaign.task.target
    old, new = (scorer_of(lab.repository, one, *words) for one in (commit, tip))
    return new if old and new and old != new else None


def scorer_now(lab: Lab, campaign: Campaign, newest: str | None = None) -> str | None:
    """Return the hash of what scores a run of a campaign, None unless it was changed just now.

    It was too where the branch is no longer at ``newest``: with it the evaluation was set back.
    """
    tip = lab.repository.resolve(campaign.ref)
    accepted = None if tip is None else accepted_entry(lab, campaign, tip)
    if tip is None or accepted is None:
        return None
    if newest not in (None, accepted.facts.name):
        return scorer_of(lab.repository, tip, campaign.task_name, campaign.task.target)
    return changed_scorer(lab, campaign, accepted, tip)


def scorer_told(lab: Lab, campaign: Campaign, graph: Graph) -> str | None:
    """Return the hash of what scores a run, None where it scored what the memory was told last."""
    known = campaign.tag in graph.campaigns()
    newest = graph.board(campaign.tag).accepted if known else None
    return scorer_now(lab, campaign, newest.name if newest else None)


def same_data(accepted: Entry | None, manifest: object) -> bool:
    """Tell whether a run was measured on the data the accepted experiment was, as far as told."""
    old = None if accepted is None else accepted.metrics.get("manifest")
    return not (old and manifest and old != manifest)
