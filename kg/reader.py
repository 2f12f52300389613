"""The reader of real target files: what kg.facts asks, answered by the packages that know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kg.changes import changes as changed
from kg.claims import read_message
from kg.config import configuration
from kg.facts import Saying
from kg.fingerprint import fingerprint as fingerprint_of
from kg.fingerprint import size as size_of
from kg.model import Change


class SourceReader:
    """The reader of real train.py files."""

    def changes(
        self, before: str, after: str, *, message: str, history: Sequence[str]
    ) -> Sequence[Change]:
        """Compare two files."""
        return changed(before, after, message=message, history=history)

    def settings(self, source: str) -> Iterable[Any]:
        """Return the effective configuration."""
        return list(configuration(source).settings.values())

    def fingerprint(self, source: str) -> str | None:
        """Return the hash of the normalised program."""
        return fingerprint_of(source)

    def size(self, source: str) -> tuple[int, int]:
        """Return lines and AST nodes."""
        return size_of(source)

    def saying(self, message: str, changes: Sequence[Change] | None) -> Saying:
        """Read a message with the rules of kg.text, without spaCy: the results are equal."""
        return read_message(message, changes)
