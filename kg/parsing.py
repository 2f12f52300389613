"""Source text to a program: each top-level piece of a file is parsed once, whoever has it.

A file is cut where a line starts a statement of the module. Pieces that parse on their own
parse to the same statements side by side, because Python's tokenizer ends each of them in the
state it starts in. An edit of a 743-line file so costs its piece instead of the file, and
lines put in or taken out cost nothing below: each piece has line numbers of its own.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from kg.program import Program, Unit
from kg.syntax import paused_collection, syntax_tree

# Characters; the largest of 883 real train.py files has 45,000, and 256 KiB take 4 s at worst.
MAX_SOURCE = 1 << 18
# Versions kept parsed: a tree is 3 MB of small objects, and the garbage collector walks them all.
KEPT = 24
# ast counts lines at \n, \r\n and \r only; str.splitlines would also break at form feeds.
LINE_END: Final = re.compile(r"\r\n|\r|\n")
# What cannot start a statement of the module: blanks, closing brackets, comments, second clauses.
INSIDE: Final = re.compile(r"[\s#)\]},]|$|(else|elif|except|finally)\b")
DECORATED: Final = re.compile(r"(async\s|def\s|class\s)")

# Numbers given out before all start again from 0: each blank line before a text costs 12 ns, a
# new start 25 ms. A history takes 150 lines a version in 3 texts, for which this is cheapest.
MAX_LINES: Final = 1 << 14

# Text, lines (the empty one behind a last line's end counts), how often both stand above.
Key: TypeAlias = tuple[str, int, int]


@dataclass(slots=True)
class Shelf:
    """The units of the versions that are kept, each with line numbers no other one has."""

    units: WeakValueDictionary[Key, Unit] = field(default_factory=WeakValueDictionary)
    lines: int = 0  # given out
    lock: Lock = field(default_factory=Lock)

    def take(self, lines: int) -> int:
        """Return the number before some that are free."""
        self.lines += lines
        return self.lines - lines

    def renew(self) -> None:
        """Start again before the numbers grow too high: the units in use stay with their users."""
        if self.lines > MAX_LINES:
            self.units, self.lines = WeakValueDictionary(), 0


SHELF: Final = Shelf()


def parse(source: str) -> Program | None:
    """Return the program of a source text, None if Python cannot parse it (or it is too large).

    The last versions are kept, keyed by the text, so a history parses each once.
    """
    if len(source) > MAX_SOURCE:
        return None
    return parse_cached(source)


@lru_cache(maxsize=KEPT)
def parse_cached(source: str) -> Program | None:
    """Parse and index one version, all but the pieces that a kept version has."""
    with paused_collection(), SHELF.lock:
        SHELF.renew()
        lines = LINE_END.split(source)
        try:
            units = pieced([lines[0].removeprefix("\ufeff"), *lines[1:]])
        except RecursionError:
            return None
        return None if units is None else Program(lines, units)


def pieced(lines: list[str]) -> list[Unit] | None:
    """Return the units of a file; what is not known is parsed in as few calls as possible."""
    starts = borders(lines)
    keys = keys_of(lines, starts)
    units: list[Unit] = []
    unknown: list[int] = []  # starts of pieces in a row
    for start, key in keys.items():
        known = SHELF.units.get(key)
        if known is None:
            unknown.append(start)
            continue
        made = parsed(lines, [*unknown, start], keys)
        if made is None:
            break
        units += [*made, known]
        unknown = []
    else:
        made = parsed(lines, [*unknown, len(lines)], keys)
        if made is not None:
            return units + made
        if unknown == starts:
            return None
    # A text over several lines may hold what looks like a statement: the whole file decides.
    return parsed(lines, [0, len(lines)], {})


def borders(lines: list[str]) -> list[int]:
    """Return the numbers of the lines that start a piece, the first line's 0 included.

    >>> borders(["x = (", "1", ")", "@f", "def g():", "    pass", "# h", "y = 2"])
    [0, 1, 3, 7]
    """
    found, decorated = [0], False
    for number, line in enumerate(lines):
        if INSIDE.match(line):
            continue
        if not decorated and number:
            found.append(number)
        decorated = line[0] == "@" or (decorated and DECORATED.match(line) is None)
    return found


def keys_of(lines: list[str], starts: list[int]) -> dict[int, Key]:
    """Return what a piece is known by, of each by its start; a file has no unit twice."""
    seen: Counter[tuple[str, int]] = Counter()
    found = {}
    for start, end in pairwise([*starts, len(lines)]):
        piece = text_of(lines, start, end), end - start
        found[start] = (*piece, seen[piece])
        seen[piece] += 1
    return found


def text_of(lines: list[str], start: int, end: int) -> str:
    """Return some lines as they stand in the file."""
    return "\n".join(lines[start:end]) + ("\n" if end < len(lines) else "")


@dataclass(slots=True)
class Piece:
    """Lines of a file with the statements that start in them."""

    home: int  # the number before its first line's
    end: int  # its last line's
    body: list[ast.stmt] = field(default_factory=list)
    whole: bool = True  # no statement reaches over its end


def parsed(lines: list[str], marks: list[int], keys: Mapping[int, Key]) -> list[Unit] | None:
    """Parse the lines between the first and the last mark, cut at the marks between.

    None if they are no statements on their own. Raises RecursionError if they nest too deep.
    """
    first, end = marks[0], marks[-1]
    if first == end:
        return []
    home = SHELF.take(end - first)
    tree = syntax_tree("\n" * home + text_of(lines, first, end))
    if tree is None:
        return None
    units = []
    for piece in distributed(tree.body, [mark - first + home for mark in marks]):
        unit = Unit(piece.body, piece.home, piece.end - piece.home)
        start = piece.home - home + first
        if piece.whole and start in keys and not lines[start + unit.length - 1].endswith("\\"):
            SHELF.units[keys[start]] = unit
        units.append(unit)
    return units


def distributed(body: list[ast.stmt], marks: list[int]) -> list[Piece]:
    """Return the pieces with their statements; one statement's pieces are joined."""
    waiting = [Piece(*pair) for pair in pairwise(marks)][::-1]
    pieces = [waiting.pop()]
    for node in body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        while pieces[-1].end < first:
            pieces.append(waiting.pop())
        pieces[-1].body.append(node)
        while pieces[-1].end < (node.end_lineno or first):
            pieces[-1].end, pieces[-1].whole = waiting.pop().end, False
    return pieces + waiting[::-1]


def digest(source: str) -> str:
    """Return the SHA-256 of a source text, surrogates included."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
