"""Edits that no setting accounts for: new and removed code, grouped by what it introduces."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kg.branching import excludes
from kg.changes_settings import one_number
from kg.config_names import callee
from kg.program import Program, Span, Statement
from kg.structure_links import BUILT_IN, hunks, links, nested

# Statements that report or check, and say nothing about the experiment.
REPORTS: Final = frozenset(
    {"print", "print0", "log", "info", "warning", "debug", "flush", "collect", "freeze", "disable",
     "synchronize", "exit", "record", "cudagraph_mark_step_begin", "dump", "write", "writelines",
     "writerow", "add_scalar"}
)  # fmt: skip


@dataclass(slots=True)
class Cluster:
    """Changed statements that belong to one edit."""

    removed: list[Statement] = field(default_factory=list)
    added: list[Statement] = field(default_factory=list)
    names: set[str] = field(default_factory=set)  # introduced or dropped by these statements

    def statements(self) -> Iterator[Statement]:
        """Yield the statements of both sides, the new ones first."""
        yield from self.added
        yield from self.removed


def changed_statements(before: Program, after: Program) -> tuple[list[Statement], list[Statement]]:
    """Return the statements that only one version has; moved code is on neither side."""
    removed = [s for s in missing(before, after) if not is_merged(s, before, after)]
    added = [s for s in missing(after, before) if not is_merged(s, after, before)]
    return without_moved(removed, added)


def is_merged(statement: Statement, own: Program, other: Program) -> bool:
    """Tell whether a statement of both cases of a test is now said once, before or after it."""
    if all(s.text != statement.text for s in other.by_scope.get(statement.scope, ())):
        return False
    return any(
        twin.text == statement.text and (excludes(twin, statement) or excludes(statement, twin))
        for twin in own.by_scope.get(statement.scope, ())
        if twin is not statement
    )


def missing(one: Program, other: Program) -> list[Statement]:
    """Return the statements of one version that the other lacks, counted."""
    rest = Counter(statement.key for statement in other.statements)
    found = []
    for statement in one.statements:
        left = rest.get(statement.key, 0)
        if left:
            rest[statement.key] = left - 1
        else:
            found.append(statement)
    return within_missing(found, one)


def within_missing(found: list[Statement], one: Program) -> list[Statement]:
    """Take, of several equal statements, the one that stands under a missing header.

    Of two `return x` the one goes with the test it stood under, of two `if step == 0:` the one
    that has something missing in its body.
    """
    headers = {id(other.node) for other in found}
    taken = {id(other) for other in found}

    def under(statement: Statement) -> bool:
        return any(id(parent) in headers for parent in statement.parents)

    over = {id(parent) for other in found for parent in other.parents}
    for place, statement in enumerate(found):
        header = hasattr(statement.node, "body")
        fits = under(statement) or (header and id(statement.node) in over)
        twins = () if fits else one.by_scope[statement.scope]
        twin = next(
            (
                t
                for t in twins
                if t.key == statement.key
                and id(t) not in taken
                and (under(t) or (header and id(t.node) in over))
            ),
            None,
        )
        if twin is not None:
            found[place] = twin
            taken.add(id(twin))
    return found


def without_moved(
    removed: list[Statement], added: list[Statement]
) -> tuple[list[Statement], list[Statement]]:
    """Drop the pairs that only changed their place: a function moved, a block re-indented."""
    elsewhere = Counter(statement.text for statement in added)
    gone = Counter(statement.text for statement in removed)
    return (
        [s for s in removed if not take(elsewhere, s.text)],
        [s for s in added if not take(gone, s.text)],
    )


def take(pool: Counter[str], text: str) -> bool:
    """Take one of a text from a pool, if there is one."""
    if pool[text] > 0:
        pool[text] -= 1
        return True
    return False


def is_report(statement: Statement) -> bool:
    """Tell whether a statement only reports, checks or imports."""
    node = statement.node
    if isinstance(
        node, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass | ast.Global | ast.Delete
    ):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return callee(node.value) in REPORTS or "print" in callee(node.value)
    return False


def clusters(
    before: Program, after: Program, removed: list[Statement], added: list[Statement]
) -> list[Cluster]:
    """Group changed statements: by names that only one version knows, then as edited lines."""
    statements = [*removed, *added]
    leaders = list(range(len(statements)))

    def leader(number: int) -> int:
        while leaders[number] != number:
            leaders[number] = leaders[leaders[number]]  # halve the path, or a long edit is slow
            number = leaders[number]
        return number

    old_names, new_names = all_names(before), all_names(after)
    new_names, old_names = new_names | BUILT_IN, old_names | BUILT_IN
    foreign = [s.names - new_names for s in removed] + [s.names - old_names for s in added]
    every = (
        *links(removed, added, foreign),
        *nested(before, after, statements, len(removed)),
        *hunks((before, removed), (after, added)),
    )
    for one, other in every:
        leaders[leader(one)] = leader(other)
    groups: dict[int, Cluster] = {}
    for number, statement in enumerate(statements):
        group = groups.setdefault(leader(number), Cluster())
        (group.removed if number < len(removed) else group.added).append(statement)
        group.names |= foreign[number]
    return list(groups.values())


def all_names(program: Program) -> frozenset[str]:
    """Return every name a program mentions."""
    return frozenset().union(*(unit.names for unit in program.units))


def span_lines(span: Span) -> range:
    """Return the lines of a span."""
    return range(span[0], span[1] + 1)


def literal_change(cluster: Cluster) -> tuple[str, str] | None:
    """Return the old and new number where a group is one line with one number changed."""
    if len(cluster.removed) != 1 or len(cluster.added) != 1:
        return None
    return one_number([cluster.removed[0].text], [cluster.added[0].text])


class Homes:
    """Finds the groups of edited statements that lie on some lines."""

    def __init__(self, groups: list[Cluster]) -> None:
        self.places: dict[tuple[bool, int], list[Cluster]] = defaultdict(list)
        for group in groups:
            for side, statements in ((False, group.removed), (True, group.added)):
                for line in {n for s in statements for n in span_lines(s.span)}:
                    self.places[side, line].append(group)

    def of(self, old_lines: set[int], new_lines: set[int]) -> list[Cluster]:
        """Return the groups that touch lines of the old or of the new version."""
        found: dict[int, Cluster] = {}
        for side, lines in ((False, old_lines), (True, new_lines)):
            for line in lines:
                for group in self.places.get((side, line), ()):
                    found[id(group)] = group
        return list(found.values())


def merged_spans(statements: Iterable[Statement]) -> Span | None:
    """Return the span from the first to the last of some statements."""
    spans = [statement.span for statement in statements]
    return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None


def by_knob(named: Iterable[tuple[str, Cluster]]) -> dict[str, list[Cluster]]:
    """Group clusters by the knob they are edits of."""
    found: dict[str, list[Cluster]] = defaultdict(list)
    for knob, cluster in named:
        found[knob].append(cluster)
    return found
