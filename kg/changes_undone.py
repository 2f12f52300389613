"""The edits that a version undoes: which they were, and what they were called when made."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from kg.changes_compare import compare
from kg.changes_message import is_announced, named_by
from kg.knobs import component_of
from kg.late import late
from kg.model import Change


def named(found: list[Change], message: str) -> dict[str, Change]:
    """Return changes by knob, those without a name called what the message calls them."""
    return {change.knob: change for change in (named_by(c, message) for c in found)}


@dataclass(frozen=True, slots=True)
class Past:
    """What came before a version: the one it was edited from, and those before that."""

    before: str
    after: str
    history: Sequence[str]  # newest first
    told: Sequence[str] = ()  # messages that came with `before` and each of `history`

    def undone(self, base: str) -> dict[str, Change]:
        """Return the way back from the parent to an earlier version: the edits since, undone.

        They are read as they were made, and those that only a message named have its name.
        """
        edits = compare(base, self.before)
        given = self.names_given(base) if self.told and edits else {}
        back = (replace_knob(undo(edit), given.get(edit.knob, edit.knob)) for edit in edits)
        return {change.knob: change for change in back}

    def names_given(self, base: str) -> dict[str, str]:
        """Return what messages called the edits since a version, by the knobs the code has."""
        line = [self.before, *self.history[: self.history.index(base) + 1]]
        given: dict[str, str] = {}
        for later, earlier, message in zip(line, line[1:], self.told, strict=False):
            for change in compare(earlier, later):
                knob = named_by(change, message).knob
                if knob != change.knob:
                    given[change.knob] = knob
        return given

    def went_back(self, change: Change) -> bool:
        """Tell whether a knob returns to what an earlier version had: an edit undone."""
        place = self.restored_at(change)
        if place is None or self.tried_again(change, place):
            return False
        return all(other.knob != change.knob for other in compare(self.history[place], self.after))

    def restored_at(self, change: Change) -> int | None:
        """Return the place of the newest earlier version that has what a change puts back."""
        gone, come = self.traces(change)
        if not gone and not come:
            return None
        versions = enumerate(self.history)
        return next((place for place, version in versions if has(version, come, gone)), None)

    def tried_again(self, change: Change, place: int | None) -> bool:
        """Tell whether what a change puts back was dropped before: undone once, now tried anew."""
        gone, come = self.traces(change)
        if place is None or not any(has(v, gone, come) for v in self.history[place + 1 :]):
            return False
        return self.was_undo(change, place)

    def was_undo(self, change: Change, place: int) -> bool:
        """Tell whether a version undid an edit, as the message or an older version says.

        Without either, what its message does not mention beside what it does was undone.
        """
        earlier, later = self.history[place], self.history[place - 1] if place else self.before
        said = self.told[place] if place < len(self.told) else ""
        if says_restored(said):
            return True
        edits = [edit for edit in compare(earlier, later) if edit.knob != change.knob]
        if is_announced(undo(change), said, edits):
            return False
        known = map(code_lines, self.history[place + 1 :])
        return code_lines(later) in known or any(is_announced(edit, said) for edit in edits)

    def was_edited(self, change: Change) -> bool:
        """Tell whether an earlier version had not yet what a change removes."""
        gone, come = self.traces(change)
        if gone:
            return any(not gone <= code_parts(version) for version in self.history)
        return any(come <= code_parts(version) for version in self.history)

    def traces(self, change: Change) -> tuple[frozenset[str], frozenset[str]]:
        """Return the pieces of code that a change removes and puts in.

        They say which version has the same: comparing it with each is 1,000 times as slow.
        """
        gone = code_parts(lines_at(self.before, change.old_span))
        come = code_parts(lines_at(self.after, change.new_span))
        gone, come = gone - come, come - gone
        if not gone and not come:  # the value is defined elsewhere than it is used
            old, new = code_parts(self.before), code_parts(self.after)
            gone, come = old - new, new - old
        if change.old is None or change.new is None:
            return gone, come
        sets = holding(gone, change.old), holding(come, change.new)
        return sets[0] or rivals(gone, sets[1]) or gone, sets[1] or rivals(come, sets[0]) or come


def holding(parts: frozenset[str], value: str) -> frozenset[str]:
    """Return the pieces of code that have a value."""
    alone = re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w.])")
    return frozenset(part for part in parts if alone.search(part))


def rivals(parts: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """Return the pieces of code that set a name which other pieces set."""
    names = {part.partition("=")[0] for part in others}
    return frozenset(part for part in parts if part.partition("=")[0] in names)


def has(version: str, parts: frozenset[str], others: frozenset[str]) -> bool:
    """Tell whether a version has some pieces of code, and not all of others in their place."""
    known = code_parts(version)
    return parts <= known and not (others and others <= known)


def undo(edit: Change) -> Change:
    """Return the way back of an edit."""
    return replace(edit, old=edit.new, new=edit.old, old_span=edit.new_span, new_span=edit.old_span)


def replace_knob(change: Change, knob: str) -> Change:
    """Return a change under another knob."""
    if knob == change.knob:
        return change
    return replace(change, knob=knob, component=component_of(knob))


def lines_at(source: str, span: tuple[int, int] | None) -> str:
    """Return some lines of a version."""
    return "" if span is None else "\n".join(source.splitlines()[span[0] - 1 : span[1]])


RESTORES: Final = late(
    r"\b(revert\w*|restor\w*|undo\w*|undid|discard\w*|roll(ed|ing)?[ -]?back|rollback"
    r"|(go|going|went|switch|back) back to|back to (the )?(base\w*|best|previous|original))\b",
    re.I,
)


# A subject that announces nothing but that.
ONLY: Final = late(
    r"\W*(revert|restor|undo|discard|roll(ed|ing)?[ -]?back|back to)"
    r"(?!.*([,;+]|\b(and|try|then|with|instead|but)\b))",
    re.I,
)


def says_restored(message: str) -> bool:
    """Tell whether a message says that an earlier state is put back."""
    return RESTORES.search(message) is not None and not message.startswith("Reapply ")


def only_restores(message: str) -> bool:
    """Tell whether the subject of a message is that an earlier state is put back."""
    return ONLY.match(message.partition("\n")[0]) is not None


@lru_cache(maxsize=256)
def code_parts(source: str) -> frozenset[str]:
    """Return the different pieces of code in a text: its lines, cut at commas."""
    return frozenset(
        part
        for line in source.splitlines()
        for piece in uncommented(line).split(",")
        if (part := piece.strip())
    )


@lru_cache(maxsize=256)
def code_lines(source: str) -> frozenset[str]:
    """Return the lines of a version, cut at commas and counted, without blank ones and comments.

    Parsing would be exact, but a history of thirty versions has to be compared in a millisecond:
    texts keep their hash, and those of two versions are one object, 5 us a comparison and not 20.
    """
    seen: dict[str, int] = {}
    pieces: set[str] = set()
    for line in source.splitlines():
        for piece in uncommented(line).rstrip().split(","):  # several keywords share a line
            if piece:
                seen[piece] = count = seen.get(piece, 0) + 1
                pieces.add(sys.intern(f"{count} {piece}"))
    return frozenset(pieces)


def uncommented(line: str) -> str:
    """Return a line without its comment; one with quotes in it may be part of a text."""
    return COMMENT.sub("", line) if "#" in line else line


COMMENT: Final = late(r"#[^'\"]*$")
