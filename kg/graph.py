"""A snapshot as the questions see it: point lookups, and the boards of campaigns."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pyoxigraph import Literal, NamedNode, Store

from kg import vocab
from kg.board import Board
from kg.errors import BadArgument
from kg.load import cut, load_board, load_settings, subjects
from kg.terms import DCT, LAB, RDF
from kg.vocab import Value, name_of, python

if TYPE_CHECKING:
    from kg.fleet import Fleet

HELD_BOARDS = 128  # 2 MB each at 1,000 experiments
HELD_SETTINGS = 512  # experiments


class Graph:
    """One snapshot, with the boards of the campaigns last asked about."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.boards: OrderedDict[str, Board] = OrderedDict()
        self.known: OrderedDict[str, dict[str, Value]] = OrderedDict()
        self.columns: Fleet | None = None
        self.groups: dict[str, list[str]] = {}
        self.memo: dict[str, Any] = {}  # what was worked out for answers over all campaigns

    def names(self) -> list[str]:
        """Return the names of all experiments."""
        nodes = {quad.subject for quad in self.store.quads_for_pattern(None, LAB.digest, None)}
        return sorted(name_of(node) for node in nodes)  # type: ignore[arg-type]

    def campaigns(self) -> list[str]:
        """Return the names of all campaigns."""
        return sorted(name_of(node) for node in subjects(self.store, RDF.type_, LAB.Campaign))

    def lone(self) -> str | None:
        """Return the only campaign, None where there are none or several."""
        tags = self.campaigns()
        return tags[0] if len(tags) == 1 else None

    def board(self, tag: str, until: int | None = None) -> Board:
        """Return the board of a campaign, as of experiment ``until`` if that is given."""
        board = self.boards.get(tag)
        if board is None:
            board = load_board(self.store, tag)
            self.boards[tag] = board
            if len(self.boards) > HELD_BOARDS:
                self.boards.popitem(last=False)
        self.boards.move_to_end(tag)
        return board if until is None else cut(board, until)

    def values(self, node: NamedNode, predicate: NamedNode) -> list[Any]:
        """Return what a thing has under a predicate, as Python values."""
        found = self.store.quads_for_pattern(node, predicate, None)
        return [plain(quad.object) for quad in found]

    def value(self, node: NamedNode, predicate: NamedNode) -> Any:
        """Return the one value a thing has under a predicate, None if it has none."""
        return next(iter(self.values(node, predicate)), None)

    def fleet(self) -> Fleet:
        """Return the trials of all campaigns in columns, read once."""
        from kg.fleet import Fleet

        if self.columns is None:
            self.columns = Fleet(self.store)
        return self.columns

    def noise(self, name: str) -> float | None:
        """Return what an effect must exceed in an experiment's campaign, as `Board.noise` does."""
        tag = self.value(vocab.experiment(name), LAB.inCampaign)
        if tag is None:
            return None
        campaign = vocab.campaign(tag)
        floor = self.value(campaign, LAB.noiseThreshold)
        floor = self.value(campaign, LAB.noiseFloor) if floor is None else floor
        return None if floor is None else float(floor)

    def context(self, name: str) -> dict[str, Value]:
        """Return the settings of what an experiment is compared with."""
        against = self.value(vocab.experiment(name), LAB.comparedWith)
        return self.settings(against) if against else {}

    def settings(self, name: str) -> dict[str, Value]:
        """Return the effective configuration of an experiment."""
        found = self.known.get(name)
        if found is None:
            found = self.known[name] = dict(load_settings(self.store, name))
            if len(self.known) > HELD_SETTINGS:
                self.known.popitem(last=False)
        return dict(found)

    def components(self, knob: str) -> list[str]:
        """Return the components a knob belongs to."""
        if knob not in self.groups:
            self.groups[knob] = self.values(vocab.knob(knob), LAB.inComponent)
        return self.groups[knob]

    def description(self, name: str) -> str:
        """Return the message of an experiment."""
        return self.value(vocab.experiment(name), DCT.description) or ""

    def cite(self, name: str) -> dict[str, Any]:
        """Return the columns that name an experiment."""
        commit = self.value(vocab.experiment(name), LAB.commit) or ""
        return {"experiment": name, "commit": commit[:7]}

    def resolve(self, text: str) -> str:
        """Return the name of the experiment that a name or a commit means, of 7 digits or more.

        Raises:
            BadArgument: None has it, or several do.
        """
        if any(self.store.quads_for_pattern(vocab.experiment(text), LAB.seq, None)):
            return text
        known = self.store.quads_for_pattern(None, LAB.shortCommit, Literal(text[:7].lower()))
        nodes: list[Any] = [quad.subject for quad in known]
        found = [
            name_of(node)
            for node in nodes
            if any(str(c).startswith(text.lower()) for c in self.values(node, LAB.commit))
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise BadArgument(
                f"experiment {text!r}: no experiment has this name or commit;"
                " list them with `nightlab log`"
            )
        raise BadArgument(f"experiment {text!r}: means {', '.join(sorted(found))}; give a name")


def plain(term: object) -> Any:
    """Return a term as a row shows it: a number, a text, or the last name of an IRI."""
    if isinstance(term, NamedNode):
        return name_of(term)
    return None if term is None else python(term)
