"""Which settings cannot act: windows no kernel is given, constants that only reach dead entries."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from kg.config_names import Names, all_arguments, callee
from kg.idioms_attention import BACKENDS
from kg.optimizers import Optimizers
from kg.program import Program
from kg.settings import Rank, Setting

WINDOWED: Final = frozenset(
    {"attention.window_pattern", "attention.short_window", "attention.window_sizes"}
)


def judged_settings(
    settings: Iterable[Setting], program: Program, names: Names, optimizers: Optimizers
) -> Iterator[Setting]:
    """Yield the settings, marked where the code elsewhere leaves them without effect."""
    windows = window_effect(program)
    dead = dead_constants(names, optimizers)
    for setting in settings:
        if setting.effective is not True:
            yield setting
        elif setting.knob in WINDOWED and windows is not True:
            yield replace(setting, effective=windows)
        elif setting.rank is Rank.CONSTANT and setting.path in dead:
            yield replace(setting, effective=False, overridden_at=dead[setting.path])
        else:
            yield setting


def window_effect(program: Program) -> bool | None:
    """Tell whether attention windows reach the kernel: None if only one of several branches."""
    kernels = [
        (name, call)
        for statement in program.mentioning(BACKENDS.keys())
        for call in statement.calls
        if (name := callee(call)) in BACKENDS
    ]
    ignoring = ignoring_functions(program) if kernels else set()
    given: set[bool] = set()
    for name, call in kernels:
        windows = {
            keyword.arg
            for keyword in call.keywords
            if keyword.arg
            and ("window" in keyword.arg or "mask" in keyword.arg)
            and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        }
        given.add(bool(windows) and name not in ignoring)
    return None if len(given) > 1 else given != {False}


def ignoring_functions(program: Program) -> set[str]:
    """Return the functions that take a window and never read it."""
    found = set()
    for name, function in program.functions.items():
        windows = {a.arg for a in all_arguments(function) if "window" in a.arg}
        body = program.by_scope.get(name, [])
        if windows and not any(windows & statement.names for statement in body):
            found.add(name.rpartition(".")[2])
    return found


def dead_constants(names: Names, optimizers: Optimizers) -> dict[str, int]:
    """Return the constants that only reach group entries the loop overwrites, with its line."""
    alive: set[str] = set()
    dead: dict[str, int] = {}
    for write in optimizers.overwrites:
        alive |= names.roots(write.value, write.statement.scope)
    for group in optimizers.groups:
        for key, value in group.entries.items():
            roots = names.roots(value, group.statement.scope)
            line = optimizers.overwritten_at(group, key)
            if line is None:
                alive |= roots
            else:
                dead.update(dict.fromkeys(roots, line))
    return {name: line for name, line in dead.items() if name not in alive}
