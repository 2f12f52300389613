"""What the arguments of a question mean: closed sets are held, a knob may go by any of its names.

An unknown word must never read as "never tried", so each argument is held against what it may
be. What the memory holds is asked first: the lexicon is loaded (0.1 s) for other names only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from kg import vocab
from kg.answering import condition
from kg.check_model import shown
from kg.components import COMPONENTS, GROUPS
from kg.errors import BadArgument
from kg.load import subjects
from kg.model import ChangeType
from kg.sums import sums
from kg.terms import LAB, RDF, SKOS
from kg.vocab import Value, name_of, value_order

if TYPE_CHECKING:
    from kg.graph import Graph
    from kg.lexicon import Lexicon
    from kg.query import Asked, Question

SETS: Final[dict[str, tuple[str, ...]]] = {
    "component": (*GROUPS, *COMPONENTS),
    "direction": tuple(
        kind for kind in ChangeType if kind not in (ChangeType.NO_EFFECT, ChangeType.UNPARSED)
    ),
    "state": ("never touched", "one direction", "open", "bracketed"),
    "verdict": ("supported", "refuted", "open", "untested"),
}
ABOUT_SETTINGS: Final = ("improved-while", "timeline")  # the others are about attempts


LISTED: Final = 8  # values of a setting that a note tells


class Meant(NamedTuple):
    """Arguments as a question takes them, and what has to be said of how they were read."""

    arguments: dict[str, str]
    notes: list[str]


def meant(graph: Graph, question: Question, given: Mapping[str, str]) -> Meant:
    """Return the arguments of a question with every word held against what it may be.

    Raises:
        BadArgument: A word is none of its set, a number is none, or a knob is not known.
    """
    found, notes = dict(given), []
    for argument in question.arguments:
        name, text = argument.name, given[argument.name]
        where = f"question {question.name!r}: {name}={text!r}"
        if not text:
            continue
        if argument.kind == "number":
            check_number(where, text)
        elif argument.kind == "knob":
            found[name] = known_knob(graph, text)
            if found[name] != text:
                notes.append(f"{name}={text}: read as {found[name]}")
        elif argument.kind in SETS:
            found[name] = one_of(where, text, SETS[argument.kind], held(graph, argument.kind))
    return Meant(found, notes)


def check_number(where: str, text: str) -> None:
    """Refuse what is no whole number of one or more, such as `limit=-3`."""
    try:
        number = float(text)
    except ValueError:
        raise BadArgument(f"{where} is not a number; give one") from None
    if not (number >= 1 and number.is_integer()):
        raise BadArgument(f"{where} is not a whole number of 1 or more; give one")


def held(graph: Graph, kind: str) -> Callable[[str], bool]:
    """Return the test whether a memory holds a word that is in none of our sets."""

    def test(text: str) -> bool:
        if kind != "component":
            return False
        return any(graph.store.quads_for_pattern(vocab.component(text), RDF.type_, LAB.Component))

    return test


def one_of(where: str, text: str, known: Iterable[str], held: Callable[[str], bool]) -> str:
    """Return the word of a closed set that was meant; case, `-`, `_` and spaces are one.

    Raises:
        BadArgument: It is none of them.
    """
    listed = list(known)
    for word in listed:
        if spelling(word) == spelling(text):
            return word
    if held(text):
        return text
    raise BadArgument(f"{where} is not known; it is one of {', '.join(listed)}")


def spelling(text: str) -> str:
    """Return a word without what people spell differently."""
    return text.strip().casefold().replace("-", " ").replace("_", " ")


def known_knob(graph: Graph, text: str) -> str:
    """Return the knob a text names: by its own name, or by one the lexicon has for it.

    Raises:
        BadArgument: It names none, or several.
    """
    if is_held(graph, text):
        return text
    from kg.lexicon import load

    lexicon = load()
    if lexicon.knob(text) is not None:
        return text
    own = {name.casefold(): name for name in names(graph, lexicon)}
    if text.strip().casefold() in own:
        return own[text.strip().casefold()]
    found = called(text, lexicon)
    if len(found) == 1:
        return found[0]
    if found:
        raise BadArgument(f"knob {text!r}: means {' or '.join(found)}; give one of them")
    raise unknown_knob(text, own.values())


def is_held(graph: Graph, text: str) -> bool:
    """Tell whether the graph holds a knob: an experiment's, or one of the vocabulary."""
    node = vocab.knob(text)
    return any(graph.store.quads_for_pattern(node, RDF.type_, LAB.Knob)) or any(
        graph.store.quads_for_pattern(node, SKOS.prefLabel, None)
    )


def names(graph: Graph, lexicon: Lexicon) -> set[str]:
    """Return every knob that the memory or the lexicon knows."""
    nodes = subjects(graph.store, RDF.type_, LAB.Knob)
    return {concept.name for concept in lexicon.knobs} | {name_of(node) for node in nodes}


def called(text: str, lexicon: Lexicon) -> list[str]:
    """Return the knobs a text names in code (`n_embd`) or in words (`embedding LR`)."""
    from kg.knobs import knob_named
    from kg.text import resolve

    word = knob_named(text.strip())
    if word is not None:
        return [word]
    claims = resolve(text, lexicon, engine="light").claims
    return sorted({claim.knob for claim in claims if lexicon.knob(claim.knob)})


def unknown_knob(text: str, known: Iterable[str]) -> BadArgument:
    """Return the error that names the knobs spelt most alike."""
    from difflib import SequenceMatcher, get_close_matches

    word = text.strip().casefold()
    near = get_close_matches(word, sorted(known), n=3, cutoff=0.7)
    alike = {name: SequenceMatcher(None, name, word).ratio() for name in near}
    near = [name for name in near if alike[name] > alike[near[0]] - 0.1]
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "`nightlab kg schema` lists those that are"
    )
    return BadArgument(f"knob {text!r}: is not known; {hint}")


def silence(asked: Asked) -> list[str]:
    """Say of an empty answer whether the knob it is about was ever tried, or set at all."""
    return [
        f"{knob}: {why_empty(asked, knob)}"
        for argument in asked.question.arguments
        if argument.kind == "knob" and (knob := asked.arguments[argument.name])
    ]


def why_empty(asked: Asked, knob: str) -> str:
    """Say why nothing is told of a knob: never tried, never set, or not so as was asked."""
    tried = any(edit.knob == knob for edit in sums(asked))
    if asked.question.name in ABOUT_SETTINGS:
        if is_set(asked, knob):
            return whether_held(asked, knob)
        if tried:
            return f"tried {place(asked)}, but no value of it is known"
        return f"a known knob, but no experiment {place(asked)} sets it"
    if tried:
        return f"tried {place(asked)}{tried_at(asked, knob)}, but not as this question asks"
    follows = any(asked.graph.store.quads_for_pattern(None, LAB.follows, vocab.knob(knob)))
    why = ": its value only follows from other settings" if follows else ""
    return f"a known knob, never tried {place(asked)}{why}{edited_in_vain(asked, knob)}"


def edited_in_vain(asked: Asked, knob: str) -> str:
    """Name the experiments that edited a knob where it could not act, which tries nothing."""
    graph, found = asked.graph, []
    for change in subjects(graph.store, LAB.knob, vocab.knob(knob)):
        name = graph.value(change, LAB.changeOf)
        if name is None or graph.value(change, LAB.effective) is not False:
            continue
        node = vocab.experiment(name)
        told = asked.campaign in (None, graph.value(node, LAB.inCampaign))
        if told and (asked.as_of is None or graph.value(node, LAB.seq) <= asked.as_of):
            found.append(name)
    edited = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    where = ", ".join(sorted(found)[:LISTED]) + edited
    return f"; it was edited where it cannot act, in {where}" if found else ""


def whether_held(asked: Asked, knob: str) -> str:
    """Say of a condition under which nothing improved whether it held at all, else what did."""
    if asked.question.name == "timeline":
        return f"no accepted version {place(asked)} sets it"
    fits = condition(knob, asked.text("value"))
    if asked.campaign is None:
        values = asked.graph.fleet().seen(knob, asked.as_of)
    else:
        values = {value for board in asked.boards() for value in board.column(knob).values()}
    if any(map(fits, values)):
        return f"it held {place(asked)}, and nothing this question asks for improved meanwhile"
    was = f"; it was {listed(values)}" if values else ""
    return f"never {asked.text('value')} {place(asked)}{was}"


def tried_at(asked: Asked, knob: str) -> str:
    """Return the values one campaign tried a knob at; all boards are never read for that."""
    boards = [] if asked.campaign is None else asked.boards()
    trials = (
        trial
        for board in boards
        for key in board.about.get(knob, ())
        for trial in board.evidence[key]
    )
    values = {trial.new for trial in trials if trial.new is not None}
    return f" at {listed(values)}" if values else ""


def listed(values: Iterable[Value]) -> str:
    """Return some values of a knob in their order."""
    told = [shown(value) for value in sorted(values, key=value_order)]
    more = f" and {len(told) - LISTED} more" if len(told) > LISTED else ""
    return ", ".join(told[:LISTED]) + more


def is_set(asked: Asked, knob: str) -> bool:
    """Tell whether any experiment asked about has a knob; all boards are never read for that."""
    if asked.campaign is None:
        return any(asked.graph.store.quads_for_pattern(None, vocab.knob(knob), None))
    return any(board.column(knob) for board in asked.boards())


def place(asked: Asked) -> str:
    """Say what a question was about: the memory or one campaign of several, and until when."""
    alone = asked.campaign is None or asked.graph.lone() is not None
    where = "in this memory" if alone else f"in campaign {asked.campaign}"
    return where if asked.as_of is None else f"{where} up to experiment {asked.as_of}"
