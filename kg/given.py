"""What a value is unless someone says otherwise: the default that a script asks the shell for."""

from __future__ import annotations

import ast
import re
from typing import Final

from kg.canonical import canonical
from kg.fold import fold

CASTS: Final = ("int", "float", "str", "bool")


def default_given(node: ast.expr) -> ast.expr:
    """Return what a value is unless someone says otherwise: the default of `environ.get`.

    `int(os.environ.get("BATCH", "128"))` is 128 in every run that is recorded here.
    """
    call, truth = node, False
    while isinstance(call, ast.Call) and called(call) in CASTS and call.args:
        truth = truth or called(call) == "bool"
        call = call.args[0]
    if not isinstance(call, ast.Call) or called(call) not in ("get", "getenv"):
        return node
    if not ENVIRONMENT.search(canonical(call.func)) or len(call.args) != 2:
        return node
    default = call.args[1]
    while isinstance(default, ast.Call) and called(default) == "str" and default.args:
        default = default.args[0]
    if call is not node and isinstance(default, ast.Constant) and isinstance(default.value, str):
        number = fold(default.value)
        if isinstance(number, int | float):
            return ast.Constant(value=bool(number) if truth else number)
    return default


def is_handed(name: str, scope: str) -> bool:
    """Tell whether a parameter sets nothing: a norm's eps, or how far the run has come."""
    return (name == "eps" and NORM.search(scope) is not None) or name in ("progress", "step")


NORM: Final = re.compile(r"norm|(?:^|_)ln", re.I)


def called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


ENVIRONMENT: Final = re.compile(r"environ|getenv")
