"""Who proposes the edits of a batch: agents by name, each a function of the campaign so far."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flows import ledger
from flows.errors import CampaignError
from flows.evidence import Outcome
from flows.experiment import Proposal
from flows.lab import Campaign, Lab
from flows.recovery import was_interrupted
from kg.fingerprint import fingerprint

log = logging.getLogger(__name__)

# (campaign, accepted source) -> an edit, or None when there is nothing left to try
Agent = Callable[[Campaign, bytes], Proposal | None]


def agent_named(name: str, lab: Lab, tag: str, seed: int) -> Agent:
    """Return an agent for a campaign.

    Raises:
        CampaignError: There is none of this name.
    """
    if name not in AGENTS:
        raise CampaignError(f"agent {name!r}: unknown; take one of: {', '.join(sorted(AGENTS))}")
    return AGENTS[name](lab, tag, seed)


def builtin(lab: Lab, tag: str, seed: int) -> Agent:
    """Return the built-in researcher, as it stands after every experiment in the ledger.

    It keeps nothing of its own: the same seed and the same ledger propose the same edit, in this
    process or another. An interrupted experiment says nothing about its program.
    """
    told = History(lab, tag)

    def edit(place: Campaign, accepted: bytes) -> Proposal | None:
        from flows.researcher import NothingToEdit, propose  # optuna takes 0.5 s to import

        history, tried = told.outcomes(), told.fingerprints
        source = ledger.text(accepted) or ""
        try:
            found = propose(
                source,
                lambda text: fingerprint(text) in tried,
                history,
                seed,
                place.task.direction[:3],
            )
        except NothingToEdit as error:
            log.warning("%s", error)
            return None
        return Proposal(found.source.encode(), found.message, found.hypothesis, agent="builtin")

    return edit


AGENTS: dict[str, Callable[[Lab, str, int], Agent]] = {"builtin": builtin}


class History:
    """The outcomes of a campaign, each read from git once."""

    def __init__(self, lab: Lab, tag: str) -> None:
        self.lab, self.tag = lab, tag
        self.known: dict[str, Outcome | None] = {}  # by experiment; None: interrupted
        self.fingerprints: set[str] = set()

    def outcomes(self) -> list[Outcome]:
        """Return every outcome so far, in order."""
        repository = self.lab.repository
        for name, commit in ledger.names(repository, self.tag).items():
            if name not in self.known:
                entry = ledger.read_entry(repository, commit)
                self.known[name] = None
                if entry is not None and not was_interrupted(entry):
                    source = ledger.text(repository.read(commit, entry.facts.target)) or ""
                    self.known[name] = Outcome(source, entry.value, entry.status.value)
                    self.fingerprints.add(entry.facts.fingerprint)
        return [outcome for outcome in self.known.values() if outcome is not None]
