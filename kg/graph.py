"""A snapshot as the questions see it: point lookups, and the boards of campaigns."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pyoxigraph import Literal, NamedNode, Store

from kg import vocab
from kg.board import Board
from kg.components import GROUPS
from kg.errors import BadArgument
from kg.load import cut, load_board, load_settings, pairs, subjects, texts
from kg.terms import DCT, LAB, RDF
from kg.vocab import Value, name_of, python

if TYPE_CHECKING:
    from kg.fleet import Fleet

HELD_BOARDS = 128  # 2 MB each at 1,000 experiments
HELD_SETTINGS = 512  # experiments
LEAST, SHORT = 4, 7  # digits that may start a commit; digits of lab:shortCommit
START = re.compile(rf"[0-9a-f]{{{LEAST},64}}", re.ASCII)
NUMBER = re.compile(r"\d{1,9}", re.ASCII)


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

    def holds(self, name: str) -> bool:
        """Tell whether there is an experiment of this name."""
        return bool(texts(self.store, vocab.experiment(name), LAB.digest))

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
        for quad in self.store.quads_for_pattern(node, predicate, None):
            return plain(quad.object)
        return None

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

    def follow(self, name: str | None) -> set[str]:
        """Return the knobs whose value only follows from others in a version of the file."""
        return set(self.values(vocab.experiment(name), LAB.follows)) if name else set()

    def moves(self, name: str, knob: str, direction: str) -> set[tuple[Value, Value]]:
        """Return what an experiment's edits of a knob in a direction took it from and to."""
        found = self.store.quads_for_pattern(None, LAB.changeOf, vocab.experiment(name))
        changes = [quad.subject for quad in found if isinstance(quad.subject, NamedNode)]
        return {
            (self.value(change, LAB.oldValue), self.value(change, LAB.newValue))
            for change in changes
            if (self.value(change, LAB.knob), self.value(change, LAB.direction))
            == (knob, direction)
        }

    def components(self, knob: str) -> list[str]:
        """Return the component a knob belongs to, and the group of that."""
        if knob not in self.groups:
            self.groups[knob] = self.values(vocab.knob(knob), LAB.inComponent)
        return self.groups[knob]

    def component(self, knob: str) -> str:
        """Return the component a knob belongs to, "" where the graph does not say."""
        return next((name for name in self.components(knob) if name not in GROUPS), "")

    def description(self, name: str) -> str:
        """Return the message of an experiment."""
        return self.value(vocab.experiment(name), DCT.description) or ""

    def forced(self) -> dict[NamedNode, str]:
        """Return why `check` was overruled, by experiment: few are, and are read once."""
        if "forced" not in self.memo:
            self.memo["forced"] = {
                node: plain(term) for node, term in pairs(self.store, LAB.forcedBecause)
            }
        found: dict[NamedNode, str] = self.memo["forced"]
        return found

    def cite(self, name: str) -> dict[str, Any]:
        """Return the columns that name an experiment."""
        commit = self.value(vocab.experiment(name), LAB.commit) or ""
        return {"experiment": name, "commit": commit[:7]}

    def resolve(self, text: str, campaign: str | None = None) -> str:
        """Return the name of the experiment meant by a name, a number or a commit's start.

        A number counts in the campaign asked about, `#47` as `recall` writes it is one too; seven
        digits or more may also start a commit, which is then meant.

        Raises:
            BadArgument: None is meant, or several are.
        """
        if any(self.store.quads_for_pattern(vocab.experiment(text), LAB.seq, None)):
            return text
        said = text.strip().lower()
        word = said.removeprefix("#")
        is_commit = word == said and START.fullmatch(word) is not None
        found = self.committed(word) if is_commit and len(word) >= SHORT else []
        if not found and NUMBER.fullmatch(word):
            found = self.numbered(int(word), campaign)
        if not found and is_commit and len(word) < SHORT:
            found = self.committed(word)
        if len(found) == 1:
            return found[0]
        if found:
            raise BadArgument(f"experiment {text!r}: means {listed(found)}; give a name")
        raise BadArgument(
            f"experiment {text!r}: no experiment has this name, number or commit;"
            f" {self.extent(campaign)}"
        )

    def moment(self, text: str, campaign: str | None = None) -> tuple[str | None, int]:
        """Return the campaign and the number that "as of" a number, a name or a commit means.

        Raises:
            BadArgument: No experiment is meant, or one of another campaign.
        """
        if text.isdecimal() and len(text) < SHORT:  # a longer one may start a commit
            return campaign, int(text)
        node = vocab.experiment(self.resolve(text, campaign))
        tag, seq = self.value(node, LAB.inCampaign), self.value(node, LAB.seq)
        if campaign not in (None, tag):
            raise BadArgument(f"as-of={text!r}: is an experiment of campaign {tag}, not {campaign}")
        return tag, seq

    def extent(self, campaign: str | None) -> str:
        """Say which experiments there are: an imported memory has no `nightlab log`."""
        rows = self.board(campaign).rows if campaign else []
        if not rows:
            return f"the campaigns are {listed(self.campaigns())}"
        return f"{campaign} has {rows[0].name} to {rows[-1].name}"

    def numbered(self, seq: int, campaign: str | None) -> list[str]:
        """Return the experiments of a number in a campaign.

        Raises:
            BadArgument: There are several campaigns, and none was said.
        """
        nodes = self.having(LAB.seq, Literal(seq))
        if campaign is None and len(tags := self.campaigns()) > 1 and nodes:
            raise BadArgument(
                f"experiment '{seq}': is a number in a campaign, and there are {listed(tags)};"
                " add --campaign, or give a name"
            )
        known = {name_of(node): self.value(node, LAB.inCampaign) for node in nodes}
        return sorted(name for name, tag in known.items() if campaign in (None, tag))

    def committed(self, start: str) -> list[str]:
        """Return the experiments whose commit starts so; a table may hold less than a hash."""
        shorts = {start[:size] for size in range(LEAST, min(len(start), SHORT) + 1)}
        if len(start) < SHORT:
            known = self.commits()
            begun = known[bisect_left(known, start) :]
            shorts.update(takewhile(lambda short: short.startswith(start), begun))
        found: dict[str, str] = {}
        for short in shorts:
            for node in self.having(LAB.shortCommit, Literal(short)):
                commit = str(self.value(node, LAB.commit)).lower()
                if commit.startswith(start) or start.startswith(commit):
                    found[name_of(node)] = commit
        longer = [name for name, commit in found.items() if commit.startswith(start)]
        same = [name for name in longer if found[name] == start]
        return sorted(same or longer or found)

    def having(self, predicate: NamedNode, value: Literal) -> list[Any]:
        """Return the nodes that have a value."""
        return [quad.subject for quad in self.store.quads_for_pattern(None, predicate, value)]

    def commits(self) -> list[str]:
        """Return the short commits in order, read once: 80 ms at 10,000 experiments."""
        if "commits" not in self.memo:
            self.memo["commits"] = sorted(
                {term.value for _, term in pairs(self.store, LAB.shortCommit)}
            )
        found: list[str] = self.memo["commits"]
        return found


def listed(names: list[str]) -> str:
    """Return names for a message."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def plain(term: object) -> Any:
    """Return a term as a row shows it: a number, a text, or the last name of an IRI."""
    if isinstance(term, NamedNode):
        return name_of(term)
    return None if term is None else python(term)
