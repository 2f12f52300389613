"""What can go wrong in the memory; every message says what to do next."""

from __future__ import annotations

from collections.abc import Iterable


class KgError(Exception):
    """The memory could not do what was asked; the message says why and what to type."""


class UnknownQuestion(KgError, LookupError):
    """A question was asked that has no file in queries/."""

    def __init__(self, asked: str, known: Iterable[str]) -> None:
        self.asked, self.known = asked, sorted(known)
        super().__init__(f"no question named {asked!r}; ask one of: {', '.join(self.known)}")


class BadArgument(KgError, ValueError):
    """A question got an argument it does not take, or a value it cannot read."""


class BadSparql(KgError, ValueError):
    """A free query was refused or does not parse; `position` is (line, column) if known."""

    def __init__(self, message: str, position: tuple[int, int] | None = None) -> None:
        self.position = position
        where = f"line {position[0]}, column {position[1]}: " if position else ""
        super().__init__(f"sparql: {where}{message}")


class MemoryBroken(KgError):
    """The store on disk is unusable or of another format: it has to be rebuilt."""


class LexiconError(KgError, ValueError):
    """The lexicon or the user's aliases cannot be used; the message names both sources."""
