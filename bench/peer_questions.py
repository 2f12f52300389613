"""Every question as its peers are asked it: the SQL and SPARQL texts of bench/peers.

A text stands for all campaigns. What narrows it to one is a comment there, `--campaign:` in SQL and
`#campaign:` in SPARQL, and what only the question about all of them has is `#fleet:`. Names that
begin with `$` are replaced in SPARQL; in SQL only `$field` is, the others are parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kg import vocab
from kg.graph import Graph

TEXTS = Path(__file__).parent / "peers"
KNOB = "optimizer.matrix_lr"
SWITCH = "model.depth"
CAMPAIGN, FLEET, NAMED = "campaign", "fleet", "named"  # what a question is asked about


@dataclass(frozen=True, slots=True)
class Peer:
    """One question, with what is compared of the answer."""

    name: str
    columns: str  # of our answer that are compared, in the order of both queries
    fleet: str = ""  # those over all campaigns, where another question is asked there
    arguments: tuple[str, ...] = ()  # that our question takes
    named: bool = False  # it is about experiments by name: once is enough
    lacks: str = ""  # what neither language says, so that the peers do less
    text: str = ""  # the name of the files, where two questions share them
    words: dict[str, str] = field(default_factory=dict)  # $name: what it stands for

    def about(self, several: bool) -> tuple[str, ...]:
        """Return what the question is asked about; one campaign is its own fleet."""
        if self.named:
            return (NAMED,)
        return (CAMPAIGN, FLEET) if several else (CAMPAIGN,)

    def compared(self, about: str) -> list[str]:
        """Return the columns that are compared."""
        return (self.fleet if about == FLEET and self.fleet else self.columns).split()

    def read(self, about: str, suffix: str) -> str:
        """Return the text of a query."""
        other = "-fleet" if about == FLEET and self.fleet else ""
        return narrowed(f"{self.text or self.name}{other}.{suffix}", about)


SEEN = "metric campaigns attempts kept crashed seconds best experiment"
CONFLICT = (
    "knob direction to improved worsened gain loss differs verdict experiment worsened_experiment"
)
PEERS = (
    Peer("attempts", "experiment direction outcome delta new", arguments=("knob",)),
    Peer(
        "attribution",
        "component knob direction to n alone isolated_effect experiments",
        lacks="no fit",
    ),
    Peer("best", "experiment value"),
    Peer(
        "best-before",
        "experiment seq from to accepted best_before best_experiment",
        arguments=("switch",),
    ),
    Peer(
        "by-agent",
        f"agent {SEEN}",
        text="seen-by",
        words={"$field": "agent", "$said": "prov:wasAssociatedWith"},
    ),
    Peer(
        "by-task",
        f"task {SEEN}",
        text="seen-by",
        words={"$field": "task", "$said": "lab:task"},
    ),
    Peer("common", "kind what a b shared", arguments=("a", "b"), named=True),
    Peer("conflicts", CONFLICT, fleet=CONFLICT),
    Peer("dead-ends", "knob direction to n"),
    Peer("hypotheses", "experiment seq hypothesis expected delta within_noise verdict outcome"),
    Peer(
        "improved-while",
        "knob direction to improved n mean_delta",
        arguments=("knob", "value"),
    ),
    Peer(
        "progress",
        "experiment seq metric value delta within_noise knobs attempts kept seconds description",
        fleet="experiment campaign seq metric value delta within_noise attempts kept seconds"
        " description",
    ),
    Peer(
        "relations",
        "relation experiment seq status value description",
        arguments=("experiment",),
        named=True,
    ),
    Peer(
        "repeats",
        "experiment seq level knobs of of_outcome outcome",
        lacks="no justification",
    ),
    Peer(
        "sweeps",
        "knob n from_seq until_seq values improved best_delta experiments experiment campaign",
    ),
    Peer("timeline", "value from_seq", arguments=("knob",)),
    Peer(
        "unexplored",
        "component knob value state untried low high n experiment",
        fleet="component knob state untried n",
    ),
)


@cache
def narrowed(name: str, about: str) -> str:
    """Return a text with the lines that belong to what is asked about."""
    text = (TEXTS / name).read_text(encoding="utf-8")
    return re.sub(rf"(--|#){FLEET if about == FLEET else CAMPAIGN}:", "", text)


def asked_with(graph: Graph, tag: str) -> dict[str, str]:
    """Return what the questions are asked with, about a campaign's experiments where by name.

    The two compared lie far apart, and the one whose relations are asked for is the first that
    edited several knobs at once: only such a one has been `tried alone in` others.
    """
    rows = graph.board(tag).rows
    pairs = graph.board(tag).pairs
    several = next(row.name for row in rows if len(pairs.get(row.name, ())) > 1)
    return {
        "knob": KNOB,
        "value": ">0.01",
        "switch": SWITCH,
        "campaign": tag,
        "a": rows[2].name,
        "b": rows[len(rows) * 9 // 10].name,
        "experiment": several,
    }


def sql(question: Peer, about: str) -> str:
    """Return a question in SQL."""
    return replaced(question.read(about, "sql"), question.words)


def sparql(question: Peer, about: str, given: dict[str, str]) -> str:
    """Return a question in SPARQL with its values."""
    words = {f"${name}": value for name, value in given.items()}
    for name, make in TERMS.items():
        words[name] = str(make(words[name]))
    return replaced(question.read(about, "rq"), {**words, **question.words})


TERMS = {
    "$knob": vocab.knob,
    "$switch": vocab.knob,
    "$campaign": vocab.campaign,
    "$a": vocab.experiment,
    "$b": vocab.experiment,
    "$experiment": vocab.experiment,
}


def replaced(text: str, words: dict[str, str]) -> str:
    """Return a text with names replaced."""
    return re.sub(r"\$\w+", lambda found: words.get(found[0], found[0]), text)
