"""Quantities in a message: "0.5 to 0.7", "524K to 262K", "8->6", "2x", "=0.2 (was 0.45)"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kg.text_tokens import Token
from kg.text_words import FACTORS, PARTS, words

LINKS = frozenset({"->", "to", "naar", "into"})
BACKWARD = frozenset({"vs", "versus", "insteadof"})
"""Between two values the newer comes first: "100 steps vs 300", "seq//4 instead of seq//2"."""
BEFORE_SECOND = frozenset({"=", "the", "a", "about", "~", "to", "depth", "width"})
"""What may stand between a link and its second value: "d26 -> d24" is depth 26, depth 24."""
UNITS = words(
    """
    step token layer head channel param dim x block stap stappen percent tokens iteration
    context width sequence of the training total sec second minute time wide seq ctx
    lagen bit
    """
)
"""Words that may stand between a number and its link: "300 steps to 200 steps"."""

HALVES = words("half halve quarter thirds")
PLACES = words("back bottom each early final first front late last latter lower second top upper")
"""Which of the halves is meant: "skips between the first and second half"."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value or a pair of values over tokens ``start`` to ``end`` (exclusive).

    ``old`` and ``new`` are number tokens; ``factor`` multiplies the old value ("halve", "2x").
    """

    start: int
    end: int
    new: Token | None = None
    old: Token | None = None
    factor: float | None = None

    @property
    def paired(self) -> bool:
        """Whether both values are given."""
        return self.old is not None and self.new is not None


def quantities(tokens: Sequence[Token], start: int, end: int) -> list[Quantity]:
    """Return the quantities among tokens ``start`` to ``end``, in order."""
    found: list[Quantity] = []
    position = start
    while position < end:
        token = spelled(tokens, position, start)
        pair = worded(tokens, position, end)
        if is_value(token) and not counts(tokens, position, start):
            pair = pair_at(tokens, position, end)
            quantity = pair or multiple(tokens, position, end)
            found.append(quantity)
            position = quantity.end
        elif pair is not None:
            found.append(pair)
            position = pair.end
        else:
            part = PARTS.get(token.lemma) if token.kind == "word" else None
            if part is not None and position > start and tokens[position - 1].lemma == "by":
                share = replace(token, kind="number", value=part, unit="%", literal=f"{part:g}")
                found.append(Quantity(position, position + 1, share))
            elif part is not None and position + 1 < end and tokens[position + 1].lemma == "of":
                found.append(Quantity(position, position + 1, factor=part))
            elif token.lemma in FACTORS and token.kind == "word" and not placed(tokens, position):
                found.append(Quantity(position, position + 1, factor=FACTORS[token.lemma]))
            position += 1
    return found


def placed(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether a half is one of two places: "skips between the first and second half"."""
    return tokens[position].lemma in HALVES and tokens[max(position - 1, 0)].lemma in PLACES


def spelled(tokens: Sequence[Token], position: int, start: int) -> Token:
    """Read a number word after "to" or "at" as the number: "to zero", "from one to two"."""
    leading = {"to", "at", "from", "=", "->"} | BACKWARD
    led = position > start and tokens[position - 1].lemma in leading
    return numeral(tokens[position]) if led else tokens[position]


def numeral(token: Token) -> Token:
    """Read a number word as its number; any other token as it is."""
    named = token.kind == "word" and token.value is not None and token.lemma not in FACTORS
    return replace(token, kind="number", lemma="<n>") if named else token


def worded(tokens: Sequence[Token], position: int, end: int) -> Quantity | None:
    """Read a number word where a second value or "times" says that it is one.

    "Six layers instead of eight", "six times the width"; not "one table for both".
    """
    first = numeral(tokens[position])
    if first is tokens[position]:
        return None
    part = (*tokens[:position], first, *tokens[position + 1 :])
    pair = pair_at(part, position, end)
    if pair is not None and any(t.lemma in BACKWARD for t in tokens[position : pair.end]):
        return pair
    found = multiple(part, position, end)
    return found if found.end > position + 1 else None


def multiple(tokens: Sequence[Token], position: int, end: int) -> Quantity:
    """Return the quantity of one value, a multiple where "times" follows: "6 times the width"."""
    token, after = tokens[position], position + 1
    if after + 1 < end and tokens[after].text.lower() == "times" and not token.unit:
        return Quantity(position, after + 1, replace(token, unit="x"))
    return Quantity(position, after, token)


def counts(tokens: Sequence[Token], position: int, start: int) -> bool:
    """Tell whether a number only counts or dates something: "every 2", "last 3", "top 10%".

    A share of the end may be a length: "cooldown over the last 70% of training".
    """
    before = tokens[position - 1].lemma if position > start else ""
    return before in {"all", "every", "each", "top"} or (
        before == "last" and tokens[position].unit != "%"
    )


def is_value(token: Token) -> bool:
    """Tell whether a token is a number (not an ordinal) or a window pattern."""
    if token.kind == "window":
        return True
    return token.kind == "number" and token.unit != "nth"


def pair_at(tokens: Sequence[Token], position: int, end: int) -> Quantity | None:
    """Return the pair that starts at a value, if its link and its second value follow."""
    link = skip_units(tokens, position + 1, end)
    backward = [p for p in range(position + 1, min(position + 5, end)) if is_backward(tokens, p)]
    if backward and all(tokens[p].kind == "word" for p in range(position + 1, backward[0])):
        link = backward[0]  # "4 attention heads instead of 8"
    if link >= end:
        return None
    lemma = tokens[link].lemma
    if lemma not in LINKS | BACKWARD:
        return None
    second = link + 1
    while second < end and tokens[second].lemma in BEFORE_SECOND:
        second += 1
    if second >= end:
        return None
    first = spelled(tokens, position, max(position - 1, 0))
    last = spelled(tokens, second, second - 1)
    if first.kind == "window":
        last = as_window(last)
    if not comparable(first, last):
        return None
    stop = skip_units(tokens, second + 1, end) if lemma in BACKWARD else second + 1
    if lemma in BACKWARD:
        return Quantity(position, stop, new=first, old=last)
    return chained(tokens, Quantity(position, stop, new=last, old=first), end)


def chained(tokens: Sequence[Token], pair: Quantity, end: int) -> Quantity:
    """Take in further values: "0.5 -> 0.6 -> 0.7" goes from 0.5 to 0.7."""
    stop, new = pair.end, pair.new
    while stop + 1 < end and tokens[stop].lemma == "->" and is_value(tokens[stop + 1]):
        new, stop = tokens[stop + 1], stop + 2
    return Quantity(pair.start, stop, new=new, old=pair.old)


def comparable(first: Token, second: Token) -> bool:
    """Tell whether two tokens can be the two ends of one pair."""
    return is_value(first) and is_value(second) and first.kind == second.kind


def is_backward(tokens: Sequence[Token], position: int) -> bool:
    """Tell whether a token says that the value before it is the newer one."""
    return tokens[position].lemma in BACKWARD


def as_window(token: Token) -> Token:
    """Read a single letter as a window pattern: ``SSSL->L``, ``WINDOW_PATTERN=L``."""
    if token.text not in {"S", "L", "M"}:
        return token
    return replace(token, kind="window", lemma="<window>", literal=token.text)


def skip_units(tokens: Sequence[Token], position: int, end: int) -> int:
    """Step over at most two unit words after a number."""
    limit = min(position + 2, end)
    while position < limit and tokens[position].lemma in UNITS:
        position += 1
    return position


BEFORE = frozenset(
    {"was", "previously", "old", "prior", "before", "originally", "prev", "formerly"}
)


def previous_value(tokens: Sequence[Token], start: int, end: int) -> Token | None:
    """Return y of "(was y)", "(down from y)", "(previously y)", "(from y)"; None without one."""
    for position in range(start, end):
        lemma = tokens[position].lemma
        if lemma in BEFORE and position + 1 == end and position == start + 1:
            return tokens[start] if is_value(tokens[start]) else None  # "(32 before)"
        replaced = lemma in BACKWARD and position == start  # "(vs 9 baseline)"
        if (
            lemma in BEFORE
            or replaced
            or (lemma in {"from", "van"} and starts(tokens, start, position))
        ):
            after = position + 1
            while after < end and tokens[after].lemma in {":", "=", "at", "a", "the", "default"}:
                after += 1
            if after < end and is_value(tokens[after]):
                return tokens[after]
    return None


def starts(tokens: Sequence[Token], start: int, position: int) -> bool:
    """Tell whether only a direction stands before ``from``: "(down from 0.04)", "(from 8)"."""
    leading = {"up", "down", "increase", "decrease", "reduce", "change", "raise", "lower", "cut"}
    return all(tokens[before].lemma in leading for before in range(start, position))


def compared_value(tokens: Sequence[Token], start: int, end: int) -> Token | None:
    """Return y of "(worse than y)", "(improvement over y)", "(y better)", "(y is sweet spot)"."""
    judged = {"better", "best", "worse", "sweet", "optimal", "winner", "wins"}
    for position in range(start, end):
        token = tokens[position]
        beaten = value_after_than(tokens, position, position + 1)
        if beaten is not None:
            return beaten
        following = {tokens[p].lemma for p in range(position + 1, min(position + 4, end))}
        if is_value(token) and position == start and following & judged:
            return token
        if token.value is not None and token.kind == "word" and position == start:
            return token if following & judged else None
    return None


def value_after_than(tokens: Sequence[Token], start: int, end: int) -> Token | None:
    """Return y of "better than y", "improvement over y", "worse than the default y"."""
    alike = {"identical", "equal", "same"}
    for position in range(start, end):
        lemma = tokens[position].lemma
        before = tokens[position - 1].lemma if position else ""
        if lemma in {"than", "over"} or (lemma in {"to", "as"} and before in alike):
            after = position + 1
            while after < len(tokens) and tokens[after].lemma in {"default", "baseline", "="}:
                after += 1
            if after < len(tokens) and is_value(tokens[after]):
                return tokens[after]
    return None
