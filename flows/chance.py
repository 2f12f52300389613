"""What is only chance in an edit: another seed is no idea, whatever it happened to measure."""

from __future__ import annotations

from flows import ledger
from flows.repository import Repository


def is_seed_alone(repository: Repository, parent: str, commit: str, facts: ledger.Facts) -> bool:
    """Tell whether the seed is all that counts in the edit from one commit to the next.

    By the changes the graph will hold: it calls the outcome of such an experiment `equal`, so a
    verdict that kept it would contradict it. Earlier versions are not read: a setting put back
    beside a new seed is a difference the run can have measured.
    """
    from kg.changes import changes  # the reader of sources, which `nightlab log` never needs
    from kg.edit import edits
    from kg.entries import SEED

    before = ledger.text(repository.read(parent, facts.target))
    after = ledger.text(repository.read(commit, facts.target))
    found = changes(before, after, message=facts.description)
    return {edit.change.knob for edit in edits(found) if edit.counts} == {SEED}
