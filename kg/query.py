"""Named questions: their files, their arguments, and the asking.

A question is a file ``queries/NAME.rq``: SPARQL under grlc-style ``#+`` lines that say what it
answers, what it takes and which columns it gives. Where one query cannot give the answer at a
reasonable price, a function of kg.answers finishes what the query found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from pyoxigraph import Literal, NamedNode, QuerySolutions, Store

from kg import vocab
from kg.board import Board
from kg.components import GROUP_OF
from kg.errors import BadArgument, UnknownQuestion
from kg.graph import Graph, plain
from kg.terms import LAB, PREFIXES, RDF
from kg.vocab import EVERYTHING

Term = NamedNode | Literal


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a question."""

    name: str
    kind: str  # knob, experiment, number, value, or a set of kg.arguments
    default: str | None  # None where it must be given
    help: str

    @property
    def required(self) -> bool:
        """Tell whether the question cannot be asked without it."""
        return self.default is None


@dataclass(frozen=True, slots=True)
class Question:
    """One question as its file describes it."""

    name: str
    summary: str
    description: str
    arguments: tuple[Argument, ...]
    columns: tuple[str, ...]
    example: str
    sparql: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question: rows keyed by column."""

    question: str
    columns: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False
    notes: tuple[str, ...] = ()  # how an argument was read, or why nothing was found


@cache
def questions() -> dict[str, Question]:
    """Return every question by name."""
    folder = resources.files("kg") / "queries"
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".rq"))
    found = [read_question(n[:-3], (folder / n).read_text(encoding="utf-8")) for n in files]
    return {question.name: question for question in found}


def read_question(name: str, text: str) -> Question:
    """Read one question file.

    Each ``#+ key: value`` line describes it; an argument reads
    ``#+ argument: knob knob = default | what it means``, without ``= default`` if required.
    """
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#+"):
            key, _, value = line[2:].partition(":")
            fields.setdefault(key.strip(), []).append(value.strip())
    return Question(
        name=name,
        summary=" ".join(fields["summary"]),
        description=" ".join(fields.get("description", [])),
        arguments=tuple(read_argument(value) for value in fields.get("argument", [])),
        columns=tuple(" ".join(fields["columns"]).split()),
        example=" ".join(fields.get("example", [])),
        sparql="\n".join(line for line in text.splitlines() if not line.startswith("#")),
    )


def read_argument(text: str) -> Argument:
    """Read one argument line.

    >>> read_argument("limit number = 100 | rows at most").default
    '100'
    """
    head, _, about = text.partition("|")
    words, equals, default = head.partition("=")
    name, kind = words.split()
    return Argument(name, kind, default.strip() if equals else None, about.strip())


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with everything it was asked with."""

    question: Question
    arguments: dict[str, str]  # "" where an optional one was not given
    campaign: str | None
    as_of: int | None
    graph: Graph

    def text(self, name: str) -> str:
        """Return an argument."""
        return self.arguments[name]

    def given(self, name: str) -> bool:
        """Tell whether an optional argument was given."""
        return bool(self.arguments.get(name))

    def about(self, component: str) -> bool:
        """Tell whether a component is the one asked about, or of the group asked about."""
        wanted = self.arguments.get("component")
        return not wanted or wanted in (component, GROUP_OF.get(component))

    def boards(self) -> Iterator[Board]:
        """Yield the boards of the campaigns asked about, as of the experiment asked for."""
        tags = [self.campaign] if self.campaign else self.graph.campaigns()
        for tag in tags:
            yield self.graph.board(tag, self.as_of)

    def number(self, name: str) -> float:
        """Return an argument as a number.

        Raises:
            BadArgument: It is not a number.
        """
        text = self.arguments[name]
        try:
            return float(text)
        except ValueError:
            where = f"question {self.question.name!r}"
            raise BadArgument(f"{where}: {name}={text!r} is not a number; give one") from None


def ask(
    graph: Graph,
    name: str,
    arguments: Mapping[str, str],
    *,
    campaign: str | None = None,
    as_of: int | str | None = None,
) -> Answer:
    """Answer a named question about one campaign, or about all; a lone one is the one meant.

    ``as_of`` is a number, or a name or commit of an experiment: its campaign is then the one meant.

    Raises:
        UnknownQuestion: No question has this name.
        BadArgument: It does not take this argument, or not this value; or there is no such
            campaign or knob.
    """
    from kg.answers import FINISH
    from kg.arguments import meant, silence

    question = questions().get(name)
    if question is None:
        raise UnknownQuestion(name, questions())
    given = dict(arguments)
    as_of = given.pop("as-of", as_of)
    if campaign is not None:
        check_campaign(graph.store, campaign)
    if isinstance(as_of, str):
        campaign, as_of = graph.moment(as_of, campaign)
    arguments, notes = meant(graph, question, checked(question, given))
    asked = Asked(question, arguments, campaign or graph.lone(), as_of, graph)
    finish = FINISH.get(name)
    rows, truncated = finish(asked) if finish else (select(asked), False)
    notes += [] if rows else silence(asked)
    columns = question.columns
    told = [{c: row.get(c) for c in columns} for row in rows]
    return Answer(name, columns, told, truncated, tuple(notes))


def check_campaign(store: Store, tag: str) -> None:
    """Refuse a campaign that is not in the graph, naming those that are.

    Raises:
        BadArgument: It is not there.
    """
    node = vocab.campaign(tag)
    if any(store.quads_for_pattern(node, RDF.type_, LAB.Campaign)):
        return
    found = store.quads_for_pattern(None, RDF.type_, LAB.Campaign)
    known = sorted(vocab.name_of(quad.subject) for quad in found)  # type: ignore[arg-type]
    shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    raise BadArgument(f"campaign {tag!r}: is not in the memory; it has {shown or 'none yet'}")


def checked(question: Question, given: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments of a question, defaults filled in.

    Raises:
        BadArgument: One is unknown, or a required one is missing.
    """
    known = {argument.name: argument for argument in question.arguments}
    where = f"question {question.name!r}"
    listed = ", ".join(known) or "none"
    for name in given:
        if name not in known:
            raise BadArgument(f"{where}: takes no argument {name!r}; it takes {listed}")
    for argument in question.arguments:
        if argument.required and not given.get(argument.name):
            raise BadArgument(
                f"{where}: needs {argument.name}=; it takes {listed};"
                f" ask as in `nightlab ask {question.example}`"
            )
    return {name: given.get(name) or argument.default or "" for name, argument in known.items()}


def bind(sparql: str, terms: Mapping[str, Term]) -> str:
    """Bind variables by a VALUES row at the start of the outermost group.

    The text is marked with ``BIND_HERE`` where the row belongs; pyoxigraph refuses
    ``initBindings`` of variables that are not projected.
    """
    names = " ".join(f"?{name}" for name in terms)
    values = " ".join(str(term) for term in terms.values())
    return sparql.replace("BIND_HERE", f"VALUES ({names}) {{ ({values}) }}" if terms else "")


def select(asked: Asked, **more: Term) -> list[dict[str, Any]]:
    """Run a question's query; return its rows as Python values.

    Every query gets ``?scope``, the campaign or the node that stands for all of them, and
    ``?until``, the last experiment that counts.
    """
    terms: dict[str, Term] = {
        "scope": vocab.campaign(asked.campaign) if asked.campaign else EVERYTHING,
        "until": Literal(asked.as_of if asked.as_of is not None else 2**53),
        **more,
    }
    return run(asked.graph.store, bind(asked.question.sparql, terms))


def run(store: Store, sparql: str) -> list[dict[str, Any]]:
    """Run one SELECT with the fixed prefixes; return its rows as Python values.

    Raises:
        TypeError: It is another form of query.
    """
    found = store.query(sparql, prefixes=PREFIXES)
    if not isinstance(found, QuerySolutions):
        raise TypeError("a question is a SELECT")
    names = [variable.value for variable in found.variables]
    return [
        {name: plain(term) for name, term in zip(names, solution, strict=True)}
        for solution in found
    ]
