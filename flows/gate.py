"""The check inside `nightlab try`: what is stopped, what is only said, what is known already."""

from __future__ import annotations

from typing import Any

from flows import derived, ledger
from flows.comparable import scorer_told
from flows.errors import NotAdvised
from flows.lab import Campaign, Lab
from flows.ledger import Entry
from flows.stores import lab_memory
from kg.check import check
from kg.check_model import Advice, Advised
from kg.graph import Graph
from kg.memory import Memory
from kg.model import Status


def gate(lab: Lab, place: Campaign, source: bytes, accepted: bytes, message: str) -> Advice:
    """Check an edit before it is run; a dead end is said, and left to the agent.

    Raises:
        NotAdvised: The same was tried and nothing that bears on it has changed since.
    """
    memory = complete_memory(lab)
    new, old = ledger.text(source), ledger.text(accepted)
    scorer = scorer_told(lab, place, memory.graph())
    advice = check(memory, new, old, campaign=place.tag, message=message, scorer=scorer)
    known = advice.verdict is Advised.IDENTICAL
    stays = known and not wins(memory.graph(), place.tag, advice, scorer)
    if advice.verdict is Advised.REPEAT or stays:
        raise NotAdvised(advice.summary, advice.exit_code, advice.to_json())
    return advice


def complete_memory(lab: Lab) -> Memory:
    """Return the memory with every experiment of the ledger in it: a run costs more than that."""
    memory = lab_memory(lab)
    if not ledger.names(lab.repository).keys() <= set(memory.names()):
        derived.catch_up(lab)
    return memory


def wins(graph: Graph, tag: str, advice: Advice, scorer: str | None = None) -> bool:
    """Tell whether a program that ran in another campaign would be accepted in this one.

    Then it is worth its run: a branch moves only by results of its own. With a scorer that was
    changed just now there is no value here to hold it against, so being kept there counts.
    """
    accepted = graph.board(tag).accepted if tag in graph.campaigns() else None
    best = advice.reasons[0].experiment if advice.reasons else ""
    home = ledger.name_parts(best)
    if accepted is None or accepted.entry.value is None or home is None or home[0] == tag:
        return False
    there = graph.board(home[0]).names[best].entry
    if there.value is None or scorer is not None:
        return there.value is not None and there.status == Status.KEEP
    return accepted.entry.scale.better(there.value, accepted.entry.value)


def earlier(lab: Lab, error: NotAdvised) -> Entry | None:
    """Return the experiment that ran the identical program, if that is why a run was stopped."""
    if error.advice["verdict"] != Advised.IDENTICAL or not error.advice["reasons"]:
        return None
    commit = ledger.names(lab.repository).get(error.advice["reasons"][0]["experiment"])
    return ledger.read_entry(lab.repository, commit) if commit else None


def next_step(lab: Lab, place: Campaign, entry: Entry, unchanged: bool) -> str:
    """Say what an agent does whose program was run before."""
    edit = f'edit {place.target.relative_to(lab.root)} and run `nightlab try -m "..."`'
    again = 'run it all the same with --force --because "..."'
    if unchanged:
        return f"nothing was changed: the program is the accepted one; {edit}"
    where = "" if entry.facts.campaign == place.tag else f" in campaign {entry.facts.campaign}"
    return f"it is known{where}: the target is back at the accepted version; {edit}, or {again}"


def said(advice: Advice | None) -> dict[str, Any]:
    """Return what the JSON of `try` has of the advice a run was made with."""
    return {} if advice is None else {"check": advice.to_json()}
