"""Planned experiments as the records the graph is built from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace

from flows.history_match import Plan
from flows.history_names import Book, split_name
from flows.history_verdict import last_kept
from flows.versions import Versions
from kg.model import Status
from kg.record import ExperimentRecord

LONGEST = 4000  # characters of a message; one of 60 kB has been seen in a bot's merge
TRAILER = re.compile(r"^[A-Z][A-Za-z-]*-[Bb]y: .*(?:\n|\Z)", re.M)  # Co-Authored-By: says no change


def light_record(
    plan: Plan, book: Book, metric: str, direction: str, agent: str
) -> ExperimentRecord:
    """Return the record of an experiment without its sources, which are large."""
    name = book.names[plan.key]
    campaign, seq = split_name(name)
    return ExperimentRecord(
        name=name,
        campaign=campaign,
        seq=seq,
        commit=plan.commit or "",
        parent=book.names.get(plan.parent.key if plan.parent else plan.parent_key or ""),
        parent_commit=plan.base,
        status=plan.status or Status.KEEP,
        reason=plan.reason,
        description=description_of(plan),
        metric=metric,
        direction=direction,
        value=value_of(plan, metric, direction),
        agent=agent_of(plan, agent),
        started=plan.about.time if plan.about else None,
        summary=summary_of(plan, metric),
        origin=book.campaigns[campaign],
    )


def runner(plans: Iterable[Plan]) -> str:
    """Return the one author of a campaign's edits, "" where there are several or none."""
    authors = {plan.about.author for plan in plans if plan.about and not plan.is_baseline}
    return authors.pop() if len(authors) == 1 else ""


def agent_of(plan: Plan, agent: str) -> str:
    """Return who made an experiment: the author of its commit, else the campaign's one agent.

    That one ran the baseline too, whoever wrote the program it starts from. Left unknown, 103
    discarded rows of the reference night told of an agent of whose 22 edits all were kept.
    """
    if plan.about is None or (plan.is_baseline and plan.item and agent):
        return agent
    return plan.about.author


def description_of(plan: Plan) -> str:
    """Return what was said of an experiment: its message, or its row where that says more.

    The commit a campaign starts from is about something else; only its row is about the run.
    """
    message = TRAILER.sub("", plan.about.message).strip() if plan.about else ""
    row_text = plan.item.row.description if plan.item else ""
    told = (row_text or message) if plan.is_baseline else (message or row_text)
    return told[:LONGEST]


def value_of(plan: Plan, metric: str, direction: str) -> float | None:
    """Return the value of an experiment in the campaign's metric."""
    items = [plan.item, *plan.others] if plan.item else []
    if plan.status is Status.CRASH:
        return None
    found = (item.value(direction) for item in items if item.metric == metric)
    return next((value for value in found if value is not None), None)


def summary_of(plan: Plan, metric: str) -> dict[str, float]:
    """Return every other number that some table has about an experiment."""
    found: dict[str, float] = {}
    for item in reversed([plan.item, *plan.others] if plan.item else []):
        found |= item.summary()
        if item.metric and item.metric != metric and item.row.value is not None:
            found[item.metric] = item.row.value
    found.pop(metric, None)
    return dict(sorted(found.items()))


def with_sources(record: ExperimentRecord, plan: Plan, versions: Versions) -> ExperimentRecord:
    """Return a record with the versions the diff needs."""
    if plan.version is None:
        return record
    blobs = versions.blobs
    before = None if plan.is_baseline else blobs.get(plan.base or "")
    kept = kept_blob(plan, versions)
    return replace(
        record,
        source=versions.text(blobs.get(plan.version)),
        parent_source=versions.text(before),
        kept_source=versions.text(kept) if kept != before else None,
        history=() if plan.is_baseline else versions.history(plan.version),
    )


def kept_blob(plan: Plan, versions: Versions) -> str | None:
    """Return the last accepted version before an experiment."""
    kept = last_kept(plan)
    return versions.blobs.get(kept.version or "") if kept else None


def mark(record: ExperimentRecord, plan: Plan, versions: Versions) -> str:
    """Return a hash of all that makes a record, with sources by their objects.

    It ends in a plus where a table row is behind the record.
    """
    after, before = (versions.blobs.get(sha or "") for sha in (plan.version, plan.base))
    kept = kept_blob(plan, versions)
    told = repr((record, after, before, kept if kept != before else None))
    digest = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return digest + "+" * (plan.item is not None)
