"""Names that only end in what a script prints or saves: they say nothing about the experiment."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Final

from kg.config_names import assignments, callee
from kg.program import Program, Statement
from kg.structure import REPORTS, is_report

# Methods that put a value into a list or a buffer: what is put in is read where the list is.
FILE_WORK: Final = frozenset({"write", "close", "flush"})
COLLECTS: Final = frozenset({"append", "extend", "appendleft", "add", "update"})


@lru_cache(maxsize=16)
def logged_names(program: Program) -> frozenset[str]:
    """Return the names of the module that are read only on the way to a report.

    `dt` is not one of them where the time budget counts it; a smoothed loss is.
    """
    logged = {name for s in program.by_scope.get("", []) for name in targets(s)}
    readers = [
        (targets(statement) if not statement.scope else set(), statement.names)
        for statement in program.statements
        if not (is_report(statement) or guards(statement))
    ]
    changed = True
    while changed and logged:
        changed = False
        for own, names in readers:
            read = logged & names
            if read and not (own and own <= logged):
                logged -= read
                changed = True
    return frozenset(logged)


def only_logs(statement: Statement, program: Program) -> bool:
    """Tell whether a statement reports, or prepares what is reported."""
    if is_report(statement) or guards(statement):
        return True
    if isinstance(statement.node, ast.If | ast.For | ast.With | ast.Try):
        rest = program.by_scope[statement.scope]
        below = [other for other in rest if statement.node in other.parents]
        return bool(below) and all(only_logs(other, program) for other in below)
    own, owner = targets(statement), statement.scope.partition(".")[0]
    if statement.scope:
        return owner in reporting_functions(program)
    if isinstance(statement.node, ast.FunctionDef):
        return statement.node.name in reporting_functions(program)
    return bool(own) and own <= logged_names(program)


@lru_cache(maxsize=16)
def reporting_functions(program: Program) -> frozenset[str]:
    """Return the functions of the module that only reports call: samples drawn after training."""
    logged = logged_names(program)
    found = {name for name in program.functions if "." not in name}
    for statement in program.statements:
        used = (found & statement.names) - {statement.scope.partition(".")[0]}
        if not used or isinstance(statement.node, ast.FunctionDef):
            continue
        own = targets(statement) if not statement.scope else set()
        if not (is_report(statement) or guards(statement) or (own and own <= logged)):
            found -= used
    called = {name for statement in program.statements for name in found & statement.names}
    return frozenset(called)


def targets(statement: Statement) -> set[str]:
    """Return the names a statement sets or adds to; none if it does anything else."""
    node = statement.node
    if isinstance(node, ast.AugAssign):
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        if isinstance(function, ast.Attribute) and function.attr in COLLECTS | FILE_WORK:
            return {function.value.id} if isinstance(function.value, ast.Name) else set()
    found = [target for target, _ in assignments(node)]
    names = {target.id for target in found if isinstance(target, ast.Name)}
    return names if len(names) == len(found) else set()


def guards(statement: Statement) -> bool:
    """Tell whether a statement only decides about reports: a test, or a file that is opened."""
    node = statement.node
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items]
        return all(isinstance(call, ast.Call) and callee(call) == "open" for call in calls)
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and all(
            isinstance(inner, ast.Expr)
            and isinstance(inner.value, ast.Call)
            and callee(inner.value) in REPORTS
            for inner in node.body
        )
    )
