"""One experiment understood: what its record and its sources say, before any graph.

This is the expensive half (parsing, comparing) and a pure function of one record, so an
import runs it in a pool of processes; the values are small and pickle cheaply.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from kg.edit import APART, Edit, edits
from kg.model import Change
from kg.record import ExperimentRecord
from kg.vocab import Value, value_of

if TYPE_CHECKING:
    from kg.settings import Setting

NUMBER = re.compile(r"(?<![\w.])\.?\d")


@dataclass(frozen=True, slots=True)
class Held:
    """One setting of the effective configuration."""

    knob: str
    component: str
    value: Value
    inert: bool  # the file never lets it act
    follows: bool = False  # computed from other settings alone


@dataclass(frozen=True, slots=True)
class Stated:
    """What the message says was changed, whatever the diff says."""

    change: Change
    agrees: bool | None  # with the diff; None where there is no diff to compare with
    method: str
    score: float
    lexicon: str
    table: str = ""  # version of the word vectors that answered, where they did


@dataclass(frozen=True, slots=True)
class Saying:
    """A message read: its claims, how they agree with the diff, and what stayed unresolved."""

    claims: tuple[Stated, ...] = ()
    agreement: str | None = None  # None where there is no diff
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one experiment from its record alone."""

    record: ExperimentRecord  # without its sources
    digest: str
    fingerprint: str | None  # of the program, None if the source is lost or does not parse
    lines: int | None
    nodes: int | None
    lines_added: int | None
    nodes_added: int | None
    settings: tuple[Held, ...]
    changes: tuple[Edit, ...]  # against the file it was edited from
    net: tuple[Edit, ...] | None  # against the last accepted file, where that is another
    saying: Saying = Saying()
    lost: bool = False  # there is no source
    from_text: bool = False  # the diff is lost: the changes are what the message says

    @property
    def apart(self) -> str:
        """Say why this was no attempt at anything, "" if it was one."""
        return next(filter(self.record.reason.startswith, APART), "")

    @property
    def basis(self) -> tuple[Edit, ...]:
        """The edits its outcome speaks about."""
        edits = self.changes if self.net is None else self.net
        return tuple(edit for edit in edits if edit.counts)


class Reader(Protocol):
    """What turns sources and messages into facts."""

    def changes(
        self, before: str, after: str, *, message: str, history: Sequence[str]
    ) -> Sequence[Change]:
        """Compare two files."""

    def settings(self, source: str) -> Iterable[Any]:
        """Return `kg.config.Setting`s, none where the file does not parse."""

    def fingerprint(self, source: str) -> str | None:
        """Return what two equal programs have in common."""

    def size(self, source: str) -> tuple[int, int]:
        """Return lines and AST nodes."""

    def saying(self, message: str, changes: Sequence[Change] | None) -> Saying:
        """Read a message beside what its diff changed, None where the diff is lost."""


def read_facts(record: ExperimentRecord, reader: Reader | None = None) -> Facts:
    """Understand one record: parse its source, compare it with what it was edited from."""
    if reader is None:
        from kg.reader import SourceReader

        reader = SourceReader()
    source, before, kept = record.source, record.parent_source, record.kept_source
    apart = kept is not None and kept != before
    found: Sequence[Change] = ()
    net: Sequence[Change] | None = None
    if source is not None and before is not None:
        said, known = record.description, [*([kept] if kept and apart else []), *record.history]
        found = reader.changes(before, source, message=said, history=known)
        if kept is not None and apart:
            net = reader.changes(kept, source, message=said, history=())
    lost = source is None or before is None
    saying = reader.saying(record.description, None if lost else found)
    told = lost and record.parent is not None
    lines, nodes = reader.size(source) if source is not None else (None, None)
    grown = grow(reader, before, lines, nodes)
    return Facts(
        record=replace(record, source=None, parent_source=None, kept_source=None, history=()),
        digest=digest(record),
        fingerprint=reader.fingerprint(source) if source is not None else None,
        lines=lines,
        nodes=nodes,
        lines_added=grown[0],
        nodes_added=grown[1],
        settings=held(reader, source),
        changes=edits([claim.change for claim in saying.claims] if told else found),
        net=None if net is None else edits(net),
        saying=saying,
        lost=source is None,
        from_text=told,
    )


def grow(
    reader: Reader, before: str | None, lines: int | None, nodes: int | None
) -> tuple[int | None, int | None]:
    """Return the lines and AST nodes a version has more than the one before."""
    if before is None or lines is None or nodes is None:
        return None, None
    old_lines, old_nodes = reader.size(before)
    return lines - old_lines, nodes - old_nodes


def held(reader: Reader, source: str | None) -> tuple[Held, ...]:
    """Return the settings of a source, one per knob, in the order of their names."""
    if source is None:
        return ()
    found = {
        s.knob: Held(
            s.knob,
            s.component,
            value_of(s.knob, s.folded, s.value),
            s.effective is False,
            follows(s),
        )
        for s in reader.settings(source)
    }
    return tuple(found[knob] for knob in sorted(found))


def follows(setting: Setting) -> bool:
    """Tell whether a setting only follows from others, as in `n_head = width // HEAD_DIM`.

    A number of its own (`long_window // 8`, `0.1 * SCALAR_LR`) is something to turn.
    """
    from kg.settings import Rank

    named = bool(setting.token) and not NUMBER.search(setting.token)
    return named and not setting.literal and setting.rank != Rank.IDIOM


def digest(record: ExperimentRecord) -> str:
    """Return a hash of everything in a record, by which a second add is recognised."""
    fields = asdict(replace(record, history=()))  # follows from the parent, and is long
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
