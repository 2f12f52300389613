"""Small histories for the tests of the graph, read once a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from pyoxigraph import Store

from bench.synthetic import campaign
from kg import ingest
from kg.facts import Facts, digest, read_facts
from kg.graph import Graph
from kg.model import Status
from kg.query import Answer, ask
from kg.record import ExperimentRecord
from kg.store import canonical


@cache
def records(tag: str = "mar8", size: int = 24, seed: int = 0) -> tuple[ExperimentRecord, ...]:
    """Return a made-up campaign."""
    return tuple(campaign(tag, size, seed))


KNOWN: dict[str, Facts] = {}


def facts(record: ExperimentRecord) -> Facts:
    """Return the facts of a record, read once."""
    key = digest(record)
    if key not in KNOWN:
        KNOWN[key] = read_facts(record)
    return KNOWN[key]


def built(found: Iterable[ExperimentRecord]) -> Store:
    """Return a store built at once."""
    store = Store()
    ingest.build(store, map(facts, found))
    return store


def added(found: Iterable[ExperimentRecord]) -> Store:
    """Return a store built one experiment at a time."""
    store = Store()
    for record in found:
        for fresh in ingest.unknown(store, [record]):
            ingest.add_facts(store, [facts(fresh)])
    return store


def dump(store: Store) -> bytes:
    """Return the canonical form of a store."""
    return canonical(store)


def asked(found: Iterable[ExperimentRecord], question: str, **arguments: object) -> Answer:
    """Ask a question of a history."""
    extra = {key: arguments.pop(key) for key in ("campaign", "as_of") if key in arguments}
    given = {name: str(value) for name, value in arguments.items()}
    return ask(Graph(built(found)), question, given, **extra)  # type: ignore[arg-type]


def line(
    edits: Iterable[tuple[str, float | None, Status]], tag: str = "t"
) -> list[ExperimentRecord]:
    """Return a campaign told edit by edit: (source, value, status), the baseline first.

    Every experiment is edited from the last kept one, as on an accepted branch.
    """
    found: list[ExperimentRecord] = []
    accepted: ExperimentRecord | None = None
    for seq, (source, value, status) in enumerate(edits):
        record = ExperimentRecord(
            name=f"{tag}-{seq:04d}",
            campaign=tag,
            seq=seq,
            commit=f"{seq + 1:07x}".ljust(40, "0"),
            parent=accepted.name if accepted else None,
            parent_commit=accepted.commit if accepted else None,
            status=status,
            reason="told so",
            description=f"experiment {seq}",
            metric="val_bpb",
            direction="min",
            value=value,
            agent="ann",
            task="gpt",
            summary={"total_seconds": 10.0},
            source=source,
            parent_source=accepted.source if accepted else None,
        )
        found.append(record)
        if status is Status.KEEP:
            accepted = record
    return found


def changed(record: ExperimentRecord, **fields: object) -> ExperimentRecord:
    """Return a record with some fields replaced."""
    return replace(record, **fields)  # type: ignore[arg-type]
