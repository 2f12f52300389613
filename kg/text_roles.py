"""Tell change from context and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kg.model import ChangeType
from kg.text_clauses import EQUAL, Segment
from kg.text_details import detailed, paired, spelt_out
from kg.text_direction import verb_class
from kg.text_doubt import elsewhere
from kg.text_drafts import STRONG, Draft, Reading
from kg.text_quantity import BACKWARD
from kg.text_words import (
    COMPARATIVES,
    CONTEXT,
    COSTS,
    FACTORS,
    IDLE,
    KEEP,
    METRICS,
    NEGATIONS,
    NEUTRAL,
    NOTHING,
)

REMARK = frozenset({":", "-", "."})
"""What starts a comment on the change before it."""
RUNS = frozenset({"calculate", "compiled", "compute", "computed", "executed", "run", "trained"})
"""Before "in" or "with" a named value is how something is done, no condition."""
ASIDE = frozenset({"insteadof", "beside"})
"""What opens a sentence that goes on with the change: "instead of X, do Y"."""
GAINS = COSTS | FACTORS.keys() | {"many", "optimizer", "take", "time"}
"""Before a lone name these tell what it buys: "twice as many updates with half the batch"."""
ABSENT = frozenset({"no", "geen", "without"})
"""After a stated change these tell what is not there, alone what was taken away."""
JOINED = frozenset({"and", "&", ",", "en", "plus", "/"})
"""What carries a context on: "with A and B"."""


def decide_roles(reading: Reading) -> None:
    """Mark the drafts that state a context or an outcome instead of a change."""
    reading.drafts = [draft for draft in reading.drafts if not elsewhere(reading, draft)]
    inherited = False  # "with A and B": B is context too
    commented = False  # after "depth 8->9 - " all is a comment
    for number, segment in enumerate(reading.segments):
        mine = [draft for draft in reading.drafts if draft.segment == number]
        earlier = [d for d in reading.drafts if d.segment < number and d.claim]
        aside = segment.depth > 0  # "with A (a) and B": B is context still
        inherited = inherited and (aside or segment.joined_by in JOINED or tight(reading, segment))
        commented = commented or (segment.joined_by in REMARK and any(d.backed for d in earlier))
        if imperative(reading.tokens[segment.start].lemma) and not commented:
            inherited = False  # "for more steps, and increase the WD"
        for draft in mine:
            draft.claim = not (
                in_context(reading, draft, mine)
                or (segment.depth and not (detailed(draft) or spelt_out(reading, draft, earlier)))
                or (inherited and not aside and not paired(draft) and draft.verb not in STRONG)
                or secondary(reading, segment, draft, earlier)
                or (draft.mention.weak and not strengthened(draft))
                or measures(reading, draft)
            )
        if segment.depth == 0:
            opened = reading.tokens[segment.start].lemma
            inherited = reading.openers[number] < segment.end and opened not in ASIDE


def in_context(reading: Reading, draft: Draft, mine: Sequence[Draft]) -> bool:
    """Tell whether a mention stands after a word of context or after "keep"."""
    if draft.knob.value_kind == "event" and draft.mention.rule.startswith("in "):
        return False  # "in the docs" says what the edit is about
    kept = stands_after(reading, draft, KEEP) and not replaced_adjective(reading, draft)
    opened = draft.mention.start >= reading.openers[draft.segment]
    free = draft.mention.shared or akin(mine, draft) or turned(reading, draft)
    opener = reading.tokens[reading.openers[draft.segment]].lemma if opened else ""
    moved = draft.verb in {ChangeType.INCREASE, ChangeType.DECREASE} and draft.quantity is not None
    free = free or (opener == "while" and moved)  # "while shrinking the width to 448"
    free = free or (opener == "with" and spelt_out(reading, draft, mine))  # "with device_batch=8"
    return kept or (opened and not free)


def akin(mine: Sequence[Draft], draft: Draft) -> bool:
    """Tell whether a value after "with" belongs to the same MLP: "SwiGLU with 8/3 expansion"."""
    activation = any(other.claim and other.knob.name == "mlp.activation" for other in mine)
    if not activation or draft.quantity is None:
        return False
    new = draft.quantity.new
    times = new is not None and new.unit == "x" and draft.mention.terms == ("width",)
    return times or draft.knob.name == "mlp.expansion"


def stands_after(reading: Reading, draft: Draft, words: frozenset[str]) -> bool:
    """Tell whether one of some words stands before a mention in its segment."""
    start = reading.segments[draft.segment].start
    return any(reading.tokens[p].lemma in words for p in range(start, draft.mention.start))


def replaced_adjective(reading: Reading, draft: Draft) -> bool:
    """Tell "replace the fixed seed", "drop the same norm" from "fixed depth", "same width"."""
    start = reading.segments[draft.segment].start
    part = reading.tokens[start : draft.mention.start]
    return any(
        verb_class(word.lemma) in STRONG and adjective.lemma in {"fixed", "same", "unchanged"}
        for word, adjective in pairwise(part)
    )


def tight(reading: Reading, segment: Segment) -> bool:
    """Tell whether a plus without spaces joins a segment: "with GQA+SwiGLU", one condition."""
    plus = reading.tokens[segment.start - 1]
    if segment.joined_by != "+" or segment.start < 2:
        return False
    return reading.tokens[segment.start - 2].end == plus.start and (
        plus.end == reading.tokens[segment.start].start
    )


def measures(reading: Reading, draft: Draft) -> bool:
    """Tell whether a mention only measures another: "0.5x of transformer init", "than muon"."""
    start = reading.segments[draft.segment].start
    before = draft.mention.start - 1
    first = all(
        other.mention.start >= draft.mention.start
        for other in reading.drafts
        if other.segment == draft.segment and other.knob.value_kind != "event"
    )
    return (
        not first
        and before >= start
        and reading.tokens[before].lemma in {"of", "than", "over", "by"}
    )


def secondary(reading: Reading, segment: Segment, draft: Draft, earlier: Sequence[Draft]) -> bool:
    """Tell whether a mention after a stated change is only a comment on it.

    "TOTAL_BATCH_SIZE 2^17->2^16, no grad accum, max updates": after a change with a value a
    comma starts a second one only with a value, or with a verb other than "no". After a colon,
    a dash or a full stop any earlier claim makes the rest a comment.
    """
    remark = segment.joined_by in REMARK
    if segment.joined_by in EQUAL or not (earlier if remark else any(d.backed for d in earlier)):
        return False
    if draft.new_value is not None and any(d.knob.name == draft.knob.name for d in earlier):
        return False  # "activation: GELU"
    if draft.quantity is not None and (not remark or draft.quantity.factor is None):
        valued = any(other.quantity is not None for other in earlier)
        return remark and ((valued and not turned(reading, draft)) or told(reading, segment, draft))
    word = reading.tokens[segment.start].lemma
    if imperative(word) and not remark:
        return False
    if word in ABSENT:  # "no warmup, no cooldown" are two of a kind
        opened = {reading.tokens[reading.segments[d.segment].start].lemma for d in earlier}
        return not opened <= ABSENT
    return draft.verb not in STRONG


def turned(reading: Reading, draft: Draft) -> bool:
    """Tell whether two values are a step ("8->9"), not a comparison ("4 heads instead of 2")."""
    if draft.quantity is None or not draft.quantity.paired:
        return False
    part = reading.tokens[draft.quantity.start : draft.quantity.end]
    return all(token.lemma not in BACKWARD for token in part)


def told(reading: Reading, segment: Segment, draft: Draft) -> bool:
    """Tell whether a value stands inside a sentence: "the model has WD=1.5, which helps"."""
    before = reading.tokens[segment.start : draft.mention.start]
    leading = len(before) <= 1 or imperative(before[0].lemma)
    return not leading and not paired(draft)


def imperative(word: str) -> bool:
    """Tell whether a first word starts an order of its own: "..., and use z-loss"."""
    if word in COMPARATIVES or word in NEGATIONS or word in {"down", "up", "off", "back"}:
        return False
    return verb_class(word) is not None or word in {"set", "use"}


def strengthened(draft: Draft) -> bool:
    """Tell whether a vague name ("layers", "batch", "window") has a value or a direction.

    "Add layers" is a change of depth; "add an MLP" is not one of the MLP's width, nor is
    "from layer 7" one of the depth.
    """
    if draft.place:
        return False
    if draft.quantity is not None:
        new = draft.quantity.new
        share = new is not None and new.unit == "%" and draft.knob.value_kind == "number"
        return not share or draft.near_word  # "50% long layers" counts no layers
    countable = draft.mention.method == "alias" and draft.knob.value_kind == "number"
    counted = {ChangeType.ADD, ChangeType.REMOVE} if countable else set()
    moved = {ChangeType.INCREASE, ChangeType.DECREASE} | counted
    return draft.near_word and draft.verb in moved


def promote(reading: Reading) -> None:
    """Take a text that only names knobs in context or parentheses at its word.

    "exp12 (depth 8)", "experiment with a deeper model": if nothing else is claimed, the first
    segment that names a knob is. Not for a baseline, whose settings are no change.
    """
    if any(draft.claim for draft in reading.drafts):
        return
    if any(token.lemma == "baseline" for token in reading.tokens):
        return
    usable = [d for d in reading.drafts if not d.mention.weak or d.quantity is not None]
    if not usable:
        return
    first = min(draft.segment for draft in usable)
    segment = reading.segments[first]
    before = reading.tokens[: segment.start if segment.depth else usable[0].mention.start]
    idle = NOTHING | NEUTRAL | CONTEXT | COMPARATIVES | IDLE | GAINS
    silent = all(token.lemma in idle or token.kind != "word" for token in before)
    measured = any(token.lemma in METRICS for token in before)
    undone = verb_class(reading.tokens[0].lemma) is ChangeType.REVERT
    for draft in usable:
        alone = draft.mention.end - draft.mention.start == segment.end - segment.start
        named = draft.knob.value_kind == "term" or draft.new_value is not None
        valued = (draft.quantity is not None or (alone and named)) and (
            segment.depth and not measured
        )
        event = draft.knob.value_kind == "event"
        opener = reading.openers[draft.segment] - 1  # "the forward pass runs in float16"
        led = {opener, reading.segments[draft.segment].start}
        runs = any(place >= 0 and reading.tokens[place].lemma in RUNS for place in led)
        said = draft.new_value is not None and runs and not measured
        draft.claim = draft.segment == first and (silent or event or undone or said or bool(valued))
        if undone:  # "restore the best after z-loss made it worse"
            draft.verb = ChangeType.REVERT
