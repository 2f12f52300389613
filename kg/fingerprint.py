"""Identity and size of a program, blind to comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache

from kg.nodes import walk
from kg.parsing import digest, parse
from kg.program import Unit

UNPARSED_PREFIX = "unparsed:"


@lru_cache(maxsize=512)
def fingerprint(source: str) -> str:
    """Return the SHA-256 of the program: equal for two texts that mean the same program.

    Comments, formatting, docstrings, redundant brackets and quote style do not count. A text
    that does not parse gets the hash of its own bytes, prefixed with ``unparsed:``.

    >>> fingerprint("x = 'a'  # note") == fingerprint('x = ("a")')
    True
    """
    program = parse(source)
    if program is None:
        return UNPARSED_PREFIX + digest(source)
    layout = "\n".join(program.layout)
    return hashlib.sha256(layout.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=512)
def size(source: str) -> tuple[int, int]:
    """Return lines of code (without blank lines, comments and docstrings) and AST nodes.

    A text that does not parse has its non-blank, non-comment lines counted and zero nodes.

    >>> size("# note\\nx = 1\\n\\ny = (\\n    2,\\n)")
    (4, 8)
    """
    program = parse(source)
    if program is None:
        return len(coded(source.splitlines())), 0
    lines, nodes, start = 0, 1, 0  # the module is a node
    for unit in program.units:
        if unit.size is None:
            unit.size = unit_size(unit, program.lines[start : start + unit.length])
        lines += unit.size[0]
        nodes += unit.size[1]
        start += unit.length
    return lines, nodes


def coded(lines: list[str]) -> set[int]:
    """Return the numbers of the lines that are not blank and no comments, from 1."""
    return {
        number
        for number, line in enumerate(lines, 1)
        if (text := line.strip()) and not text.startswith("#")
    }


def unit_size(unit: Unit, lines: list[str]) -> tuple[int, int]:
    """Return the lines of code of a unit, without docstrings and bare texts, and its AST nodes."""
    nodes, texts = 0, set[int]()
    # Operators are left out, as contexts are by the walk: their parents say it all.
    for node in (inner for outer in unit.body for inner in walk(outer)):
        if isinstance(node, LIGHT):
            continue
        nodes += 1
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            nodes -= 2  # the statement and, when its turn comes, the text in it
            first, last = node.lineno, node.end_lineno or node.lineno
            texts.update(range(first - unit.home, last + 1 - unit.home))
    return len(coded(lines) - texts), nodes


LIGHT = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
