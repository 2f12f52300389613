"""Settings that a script takes from its command line: the defaults are what is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kg.config_names import Names, callee
from kg.features import knob_of_name
from kg.knobs import knob_named, unknown_knob
from kg.program import Program
from kg.settings import Rank, Setting, Site, is_literal, make_setting


def command_line_settings(program: Program, names: Names) -> Iterator[Setting]:
    """Yield `parser.add_argument("--matrix-lr", default=0.04)` as the constant it stands for."""
    for statement in program.statements:
        for call in statement.calls if "add_argument" in statement.names else ():
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            default = given.get("default")
            name = argument_name(call, given.get("dest"))
            if callee(call) != "add_argument" or not name or default is None:
                continue
            if not is_literal(default) or not is_number(default):
                continue
            path = f"args.{name}"
            knob = knob_named(name) or knob_of_name(name) or unknown_knob(path)
            site = Site(path, statement.scope, statement.span, Rank.CONSTANT)
            yield make_setting(program, names, knob, default, site)


def argument_name(call: ast.Call, dest: ast.expr | None) -> str:
    """Return the name an argument is read by: `--matrix-lr` is `args.matrix_lr`."""
    texts = [node.value for node in (dest, *call.args) if isinstance(node, ast.Constant)]
    words = [text for text in texts if isinstance(text, str)]
    longest = max(words, key=len, default="") if dest is None else words[0] if words else ""
    return longest.lstrip("-").replace("-", "_")


def is_number(node: ast.expr) -> bool:
    """Tell whether a default is a number, or arithmetic on numbers: a text is a path or a name."""
    constants = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    return bool(constants) and all(isinstance(v, int | float) for v in constants)
