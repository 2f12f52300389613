"""The memory of a laboratory: experiments in, answers out, on disk in one directory.

Asking must start fast: what only adds experiments is imported where one is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyoxigraph import RdfFormat, Store, serialize

from kg import store
from kg.graph import Graph
from kg.terms import LAB, PREFIXES, RDF

if TYPE_CHECKING:
    from rdflib import Dataset

    from kg.board import Board
    from kg.facts import Facts, Reader
    from kg.guard import Limits
    from kg.ingest import Progress
    from kg.query import Answer
    from kg.record import ExperimentRecord, NoiseFloor
    from kg.sparql import SparqlAnswer


WRITER_BOARDS = 4  # 2 MB each at 1,000 experiments


class Memory:
    """A graph of experiments in a directory. Cheap to make; each call opens what it needs.

    Writers take turns (a file lock), readers see the latest published snapshot and never
    wait. The graph is derived: `rebuild` makes the same bytes from the same records.
    """

    def __init__(self, directory: Path, reader: Reader | None = None) -> None:
        self.directory = directory
        self.reader = reader
        self.opened: tuple[store.Edition, Graph] | None = None
        self.writer = WriterBoards()

    def add(self, record: ExperimentRecord) -> None:
        """Add one experiment; adding it again changes nothing.

        Raises:
            KgError: As `add_all`.
            MemoryBroken: As `add_all`.
        """
        self.add_all([record])

    def add_all(self, records: Iterable[ExperimentRecord], progress: Progress | None = None) -> int:
        """Add many experiments in any order; return how many were new or had changed.

        Raises:
            KgError: A record is not one of an experiment, or another writer holds the memory
                for a minute.
            MemoryBroken: The store is damaged or of another format.
        """
        from kg import ingest

        with store.writing(self.directory) as graph:
            fresh = ingest.unknown(graph, records)
            if fresh:
                store.announce(self.directory)
                found = ingest.understand(fresh, self.reader, ingest.workers_for(len(fresh)))
                boards = self.writer.take(store.edition(self.directory))
                ingest.add_facts(graph, counted(found, progress), boards)
                self.writer.keep(boards)
            if fresh or store.behind(self.directory):
                store.publish(self.directory, graph)
                self.writer.of = store.edition(self.directory)
            return len(fresh)

    def rebuild(
        self,
        records: Iterable[ExperimentRecord],
        progress: Progress | None = None,
        floors: Iterable[NoiseFloor] = (),
    ) -> int:
        """Make the graph anew beside the present one, then swap them; return its size.

        Raises:
            KgError: A record is not one of an experiment, two have one name, or another writer
                holds the memory for a minute.
        """
        from kg import ingest
        from kg.floor import floor_quads

        stream, workers = ingest.stream_workers(records)
        with store.replacing(self.directory) as graph:
            facts = ingest.understand(stream, self.reader, workers)
            count = ingest.build(graph, facts, progress)
            store.bulk(graph, floor_quads(floors))
            return count

    def measure(self, campaign: str, floors: Sequence[NoiseFloor]) -> None:
        """Hold a campaign's effects against measured noise from now on, the last floor's.

        Raises:
            KgError: A floor is no number above or equal to zero, or another writer holds the
                memory for a minute.
            MemoryBroken: The store is damaged or of another format.
        """
        from kg.floor import floor_quads, stale_quads

        fresh = set(floor_quads(floors))
        with store.writing(self.directory) as graph:
            stale = stale_quads(graph, campaign)
            if fresh != stale:
                store.announce(self.directory)
                store.apply(graph, fresh - stale, stale - fresh)
                store.publish(self.directory, graph)

    def graph(self) -> Graph:
        """Return the latest snapshot, opened once and again only after something was added.

        Raises:
            MemoryBroken: It cannot be opened, or is of another format.
        """
        latest = store.edition(self.directory)
        if latest is None:
            return Graph(Store())
        if self.opened is None or self.opened[0] != latest:
            self.opened = (latest, Graph(store.reading(self.directory)))
        return self.opened[1]

    def dump(self) -> bytes:
        """Return the whole graph as sorted N-Quads: equal graphs are equal bytes."""
        return store.canonical(self.graph().store)

    def holds(self, name: str) -> bool:
        """Tell whether an experiment is in the graph.

        Raises:
            MemoryBroken: It cannot be opened, or is of another format.
        """
        latest = store.edition(self.directory)
        return self.writer.holds(name, latest) or self.graph().holds(name)

    def whole(self) -> bool:
        """Tell whether the memory was ever written and no part of it was deleted since."""
        return store.whole(self.directory)

    def names(self) -> list[str]:
        """Return the names of all experiments."""
        return self.graph().names()

    def ask(
        self,
        question: str,
        arguments: Mapping[str, str] | None = None,
        *,
        campaign: str | None = None,
        as_of: int | str | None = None,
    ) -> Answer:
        """Answer a named question, about one campaign or about all.

        Raises:
            UnknownQuestion: No question has this name.
            BadArgument: It does not take this argument, or not this value.
        """
        from kg.query import ask

        return ask(self.graph(), question, arguments or {}, campaign=campaign, as_of=as_of)

    def sparql(self, text: str, limits: Limits | None = None) -> SparqlAnswer:
        """Answer a free query; read only, within limits.

        Raises:
            BadSparql: It is refused, or does not parse.
        """
        from kg.sparql import sparql

        return sparql(self.graph().store, text, limits)

    def turtle(self) -> bytes:
        """Return the whole graph as Turtle: equal graphs are equal bytes here too."""
        triples = sorted((quad.triple for quad in self.graph().store), key=str)
        text = serialize(triples, format=RdfFormat.TURTLE, prefixes=PREFIXES) or b""
        lines = text.splitlines(keepends=True)  # the prefixes come in the order of a hash table
        head = [line for line in lines[: len(PREFIXES)] if line.startswith(b"@prefix")]
        return b"".join(sorted(head) + lines[len(head) :])

    def stats(self) -> dict[str, int]:
        """Return how much the memory holds."""
        graph = self.graph().store
        kinds = {
            "campaigns": LAB.Campaign,
            "experiments": LAB.Experiment,
            "changes": LAB.Change,
            "knobs": LAB.Knob,
            "evidence": LAB.Evidence,
            "regimes": LAB.Regime,
            "conflicts": LAB.Conflict,
            "repeats": LAB.Repeat,
        }
        counts = {
            name: sum(1 for _ in graph.quads_for_pattern(None, RDF.type_, kind))
            for name, kind in kinds.items()
        }
        return {**counts, "triples": len(graph)}

    def check(self) -> list[str]:
        """Return every violation of shapes.ttl that pySHACL finds in the whole graph."""
        from kg.shapes import check_store

        return check_store(self.graph().store)

    def dataset(self) -> Dataset:
        """Return the latest snapshot as an rdflib dataset that oxigraph answers for."""
        from oxrdflib import OxigraphStore
        from rdflib import Dataset

        return Dataset(store=OxigraphStore(store=self.graph().store), default_union=True)


class WriterBoards:
    """The boards of the campaigns a process writes to, valid while nobody else has written."""

    def __init__(self) -> None:
        self.of: store.Edition | None = None  # the snapshot they are the state of
        self.boards: dict[str, Board] = {}

    def take(self, latest: store.Edition | None) -> dict[str, Board]:
        """Return the boards of a snapshot; they are given away until `keep`."""
        boards, self.boards = self.boards, {}
        return boards if latest is not None and latest == self.of else {}

    def holds(self, name: str, latest: store.Edition | None) -> bool:
        """Tell whether an experiment is known to be in a snapshot, without opening it."""
        known = any(name in board.names for board in self.boards.values())
        return known and latest == self.of

    def keep(self, boards: dict[str, Board]) -> None:
        """Keep boards for the next time, cut off from the store they were read from."""
        for board in boards.values():
            board.memo.clear()
            _ = board.regimes  # reads them: a reader left on the store would keep it locked
        self.boards = dict(list(boards.items())[-WRITER_BOARDS:])


def counted(found: Iterable[Facts], progress: Progress | None) -> Iterator[Facts]:
    """Hand facts on, reporting how many there were so far."""
    for count, one in enumerate(found, start=1):
        if progress is not None:
            progress(count)
        yield one


def open_memory(directory: Path) -> Memory:
    """Return the memory in a directory, which need not exist yet."""
    return Memory(directory)
