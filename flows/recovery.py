"""What a runner that died has left: finish it, or record that it was interrupted.

`recover` twice is `recover` once. A pending ref without an experiment is one of three: the
experiment's ref exists already (only the branch or the clean-up was missing), a sealed result
lies in the run's directory (finish it, nothing is trained again), or the run never ended.
"""

from __future__ import annotations

import json

from flows import ledger
from flows.experiment import OWNER, PENDING, Attempt, Clock, finish, pending_names
from flows.lab import Campaign, Lab
from flows.layout import lay_out
from flows.ledger import Entry, Facts
from kg.model import Status
from trainer.run import reap
from trainer.stage import seal_unfinished

INTERRUPTED = "interrupted: the runner ended before the run did"


def recover(lab: Lab, campaign: Campaign) -> list[Entry]:
    """Finish or record every attempt of a campaign that has no experiment yet.

    Call it only while holding the campaign's lock.

    Returns:
        The experiments that came to be, in order.
    """
    return [resume(lab, campaign, name) for name in sorted(pending_names(lab, campaign.tag))]


def resume(lab: Lab, campaign: Campaign, name: str) -> Entry:
    """Bring one pending attempt to its end."""
    repository = lab.repository
    attempt = read_attempt(lab, name)
    reap(attempt.commit)  # the run may have outlived its runner
    done = repository.resolve(ledger.ref_of(attempt.parent, name))
    if done:
        entry = ledger.read_entry(repository, done)
        assert entry is not None  # an experiment's ref points to a whole record
        if entry.status is Status.KEEP and repository.resolve(campaign.ref) == attempt.parent:
            repository.swap_ref(campaign.ref, done, attempt.parent)
        repository.delete_ref(attempt.ref)
        return entry
    owner = campaign.run / OWNER
    ours = owner.is_file() and owner.read_text(encoding="utf-8") == attempt.commit
    if not (ours and (campaign.run / ledger.METRICS).is_file()):
        if not ours:
            lay_out(lab, campaign, attempt.commit, campaign.run)
            owner.write_text(attempt.commit, encoding="utf-8")
            (campaign.run / ledger.METRICS).unlink(missing_ok=True)
        facts = attempt.facts
        seal_unfinished(campaign.run, facts.target, facts.metric, INTERRUPTED)
    return finish(lab, campaign, attempt, Clock())


def read_attempt(lab: Lab, name: str) -> Attempt:
    """Read an attempt back from its pending ref."""
    commit = lab.repository.resolve(PENDING + name)
    assert commit is not None  # the name comes from the list of refs
    raw = json.loads(lab.repository.read(commit, ledger.FACTS) or b"{}")
    parent = lab.repository.parents(commit)[0]
    return Attempt(commit, parent, Facts(**raw))


def was_interrupted(entry: Entry) -> bool:
    """Tell whether an experiment says nothing about its program, only about its runner."""
    return str(entry.metrics.get("reason", "")).startswith("interrupted")
