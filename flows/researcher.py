"""The built-in researcher: proposes edits of a target file without a language model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows.edits import Kind, Knob, apply, knobs
from flows.errors import NothingToEdit
from flows.evidence import Outcome, read_trials
from flows.hypotheses import hypothesis
from flows.search import DRAWS, Edits, Search
from kg.syntax import syntax_tree

__all__ = ["NothingToEdit", "Outcome", "Proposal", "Researcher", "propose"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One edit to run next."""

    source: str
    message: str  # `matrix_lr 0.04 -> 0.06`
    hypothesis: str  # one sentence: why it could help
    knobs: tuple[str, ...] = ()  # names of what it moves


class Researcher:
    """A researcher that remembers what it proposed; the same seed and history, the same edits.

    Args:
        seed: Of its choices.
        direction: "min" or "max": which way of the metric is better.
        fingerprint: Maps a source to the identity of its program, `kg.fingerprint`.
        history: Experiments of the campaign so far, baseline first, to go on where it stopped.
    """

    def __init__(
        self,
        seed: int,
        direction: str,
        fingerprint: Callable[[str], str],
        history: Sequence[Outcome] = (),
    ) -> None:
        self.seed, self.direction, self.fingerprint = seed, direction, fingerprint
        self.history: list[Outcome] = list(history)
        self.known = {fingerprint(outcome.source) for outcome in history}

    def propose(self, source: str) -> Proposal:
        """Return the next edit of the accepted source.

        Raises:
            NothingToEdit: See the function `propose`.
        """
        return propose(source, self.tried, self.history, self.seed, self.direction)

    def tried(self, source: str) -> bool:
        """Tell whether this program was run before."""
        return self.fingerprint(source) in self.known

    def tell(self, source: str, value: float | None, status: str) -> None:
        """Remember how an experiment ended: keep, discard or crash (value None)."""
        self.history.append(Outcome(source, value, status))
        self.known.add(self.fingerprint(source))


def propose(
    source: str,
    tried: Callable[[str], bool],
    history: Sequence[Outcome],
    seed: int,
    direction: str,
) -> Proposal:
    """Return an edit of the accepted source that was never run.

    A pure function of its arguments. A knob is picked by its usual yield and what the campaign
    saw of it; one side of the accepted value is tried, then the other, with a step that stands
    out of the noise; between lost values Optuna's TPE decides. What helped is pushed further,
    what nearly helped is combined; after five losses it looks further afield.

    Args:
        source: The accepted version of the target file.
        tried: Tells whether a program was run before.
        history: Experiments of the campaign in order, baseline first.
        seed: Of its choices.
        direction: "min" or "max": which way of the metric is better.
    Raises:
        NothingToEdit: The file is no Python or has no knob, or every edit within reach was tried.
    """
    found = editable(source)
    trials = read_trials(history, minimise=not direction.startswith("max"))
    search = Search(found, trials, random.Random(f"{seed}:{len(history)}"), source)
    for draw in range(DRAWS):
        edits = search.draw(draw)
        edited = apply(source, edits) if edits and search.sound(edits) else None
        if edited is None or edited == source or tried(edited):
            search.disappoint()
            continue
        moved = tuple(knob.name for knob, _ in edits)
        return Proposal(edited, message(edits), hypothesis(edits, trials), moved)
    raise NothingToEdit("researcher: every edit within reach was tried; let an agent edit the file")


def editable(source: str) -> tuple[Knob, ...]:
    """Return the knobs of the accepted source, at least one.

    Raises:
        NothingToEdit: The file is no Python, or has no knob.
    """
    if syntax_tree(source) is None:
        raise NothingToEdit("researcher: the accepted file is no Python; repair it by hand first")
    found = knobs(source)
    if not found:
        raise NothingToEdit(
            "researcher: the file has no knob it can edit; give it upper-case constants at module "
            "level (LEARNING_RATE = 0.01), or let an agent edit it"
        )
    return found


def message(edits: Edits) -> str:
    """Say what is edited, in the field's terms.

    >>> from flows.edits import Knob
    >>> depth = Knob("depth", Kind.COUNT, 4, ((8, 9),), "4", 1.0)
    >>> message([(depth, 5)])
    'depth 4 -> 5'
    """
    parts = []
    for knob, value in edits:
        choice = knob.kind is Kind.CHOICE
        old, new = (knob.value, value) if choice else (knob.text, knob.written(value)[0])
        parts.append(f"{knob.name} {old} -> {new}")
    return ", ".join(parts)
