"""Records into the graph: one at a time as the night goes on, or a whole history at once."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, groupby, islice
from multiprocessing import get_context

from pyoxigraph import Quad, Store

from kg import vocab
from kg.board import Board, Entry, EvidenceKey
from kg.build import own_quads
from kg.derive import Patch, step
from kg.errors import KgError
from kg.facts import Facts, Reader, digest, read_facts
from kg.load import entries_of, load_board, texts
from kg.outcome import entry_of
from kg.record import ExperimentRecord
from kg.rollup import refresh
from kg.shapes import require_shape
from kg.shared import shared_quads
from kg.store import apply, bulk
from kg.terms import LAB
from kg.vocabulary import renewal, vocabulary
from kg.withdraw import orphans, require_campaign, withdraw

Progress = Callable[[int], None]
POOLED = 64  # below that, starting processes (0.5 s each) costs more than it saves
BATCH = 32  # records one process is given: neighbours share versions, each is read once
AHEAD = 2  # batches a process may have waiting: sources are 30 kB each and must not pile up
UNGUARDED = (
    "memory: the processes that read experiments ended; a script that adds many runs again in each"
    ' of them: put what it does below `if __name__ == "__main__":`, or give them more memory'
)
SELDOM = (200_000, 50, 50)  # garbage collection walks cached syntax trees: 34 ms a file, not 12


def understand(
    records: Iterable[ExperimentRecord], reader: Reader | None, workers: int
) -> Iterator[Facts]:
    """Read the facts of records, in their order, in a pool of processes if there are many.

    Only so many are handed out at a time: a record carries sources of 30 kB each.

    Raises:
        KgError: The processes ended: what is imported again in each of them has no guard.
    """
    if workers < 2:
        for record in records:
            yield read_facts(record, reader)
        return
    waiting: deque[Future[list[Facts]]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), gc.set_threshold, SELDOM) as pool:
        try:
            for some in batched(records, BATCH):
                waiting.append(pool.submit(read_all, some, reader))
                if len(waiting) > AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise KgError(UNGUARDED) from None
        finally:
            for future in waiting:
                future.cancel()


def batched(records: Iterable[ExperimentRecord], size: int) -> Iterator[list[ExperimentRecord]]:
    """Cut a stream of records into lists."""
    stream = iter(records)
    while some := list(islice(stream, size)):
        yield some


def read_all(records: list[ExperimentRecord], reader: Reader | None) -> list[Facts]:
    """Read the facts of some records: what one process is given at a time."""
    return [read_facts(record, reader) for record in records]


def stream_workers(
    records: Iterable[ExperimentRecord],
) -> tuple[Iterator[ExperimentRecord], int]:
    """Return a stream of records and how many processes it is worth."""
    stream = iter(records)
    first = list(islice(stream, POOLED))
    return chain(first, stream), workers_for(len(first))


def workers_for(count: int) -> int:
    """Return how many processes are worth starting for so many records."""
    return min(os.cpu_count() or 1, 8) if count >= POOLED else 1


def known_digest(store: Store, name: str) -> str | None:
    """Return the digest of an experiment that is in the graph, None if it is not."""
    found = texts(store, vocab.experiment(name), LAB.digest)
    return found[0] if found else None


def unknown(store: Store, records: Iterable[ExperimentRecord]) -> list[ExperimentRecord]:
    """Return the records that the graph does not hold in just this form, by campaign.

    Of several records of one name the last one counts.
    """
    last = {record.name: record for record in records}
    fresh = [r for r in last.values() if known_digest(store, r.name) != digest(r)]
    return sorted(fresh, key=lambda record: record.campaign)


def add_facts(store: Store, found: Iterable[Facts], boards: dict[str, Board] | None = None) -> None:
    """Write experiments into the graph, one transaction for those of a campaign in a row.

    They are written as they come, so that a pool goes on reading meanwhile. ``boards`` are
    those of campaigns as the store has them; they are brought up to date, and are worth
    nothing any more if this raises.
    """
    boards = {} if boards is None else boards
    apply(store, *renewal(store))
    for tag, some in groupby(found, key=lambda facts: facts.record.campaign):
        boards[tag] = add_to_campaign(store, boards.get(tag), tag, list(some))


def sound_quads(facts: Facts) -> list[Quad]:
    """Return the quads of an experiment, checked against the shapes.

    Raises:
        KgError: The record is not one of an experiment.
    """
    quads = own_quads(facts)
    require_shape(facts.record.name, quads)
    return [*quads, *shared_quads(facts)]


def add_to_campaign(store: Store, board: Board | None, tag: str, found: list[Facts]) -> Board:
    """Write experiments of one campaign in one transaction; return its board afterwards."""
    board = board or load_board(store, tag)
    entries = sorted((entry_of(facts) for facts in found), key=lambda entry: entry.order)
    patch = Patch()
    moved = [f.record.name for f in found if known_digest(store, f.record.name)]
    for name in moved:
        require_campaign(store, name, tag)
    later = not board.rows or entries[0].order > board.rows[-1].order
    if later and not moved:
        for entry in entries:
            step(board, entry, patch)
    else:
        board = retell(board, entries, patch)
    for facts in found:
        patch.add(sound_quads(facts))
    mentioned = {node for name in moved for node in withdraw(store, name, patch)}
    added, removed = patch.added, patch.removed
    more, less = refresh(store, patch.keys, added, removed)
    apply(store, [*added, *more], [*removed, *less])
    if mentioned:
        apply(store, (), orphans(store, mentioned))
    return board


def retell(board: Board, entries: list[Entry], patch: Patch) -> Board:
    """Go through a campaign again, with experiments that come in between or anew."""
    old = list(entries_of(board))
    before, after = Patch(), Patch()
    replay(board.campaign, old, before)
    names = {entry.name for entry in entries}
    told = [entry for entry in old if entry.name not in names] + entries
    retold = replay(board.campaign, told, after)
    old_quads, new_quads = before.added, after.added
    patch.remove(old_quads - new_quads)
    patch.add(new_quads - old_quads)
    patch.keys |= before.keys | after.keys
    return retold


def replay(tag: str, entries: Iterable[Entry], patch: Patch) -> Board:
    """Let the experiments of a campaign happen in their order."""
    board = Board(tag)
    for entry in sorted(entries, key=lambda entry: entry.order):
        step(board, entry, patch)
    return board


def build(store: Store, found: Iterable[Facts], progress: Progress | None = None) -> int:
    """Write a whole history into a fresh store: the same graph as adding one by one, faster.

    Returns how many experiments there were.

    Raises:
        KgError: Two different records have one name, or one is not that of an experiment.
    """
    campaigns: dict[str, dict[str, Entry]] = {}
    bulk(store, vocabulary())
    bulk(store, told(found, campaigns, progress))
    keys: set[EvidenceKey] = set()
    for tag in sorted(campaigns):
        patch = Patch()
        replay(tag, campaigns[tag].values(), patch)
        bulk(store, patch.added)
        keys |= patch.keys
    more, _ = refresh(store, keys, set(), set())
    bulk(store, more)
    return sum(map(len, campaigns.values()))


def told(
    found: Iterable[Facts], campaigns: dict[str, dict[str, Entry]], progress: Progress | None
) -> Iterator[Quad]:
    """Yield the quads of each experiment, remembering what its campaign has to know.

    Raises:
        KgError: Two different records have one name, or one is not that of an experiment.
    """
    digests: dict[str, str] = {}
    for count, facts in enumerate(found, start=1):
        record = facts.record
        if digests.setdefault(record.name, facts.digest) != facts.digest:
            raise KgError(f"experiment {record.name!r}: two records have this name; rename one")
        if record.name not in campaigns.setdefault(record.campaign, {}):
            yield from sound_quads(facts)
            campaigns[record.campaign][record.name] = entry_of(facts)
        if progress is not None:
            progress(count)
