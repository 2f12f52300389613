"""Syntax nodes are asked the same things again and again: the answers are kept beside them."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Final

# Nodes whose answers are kept: a 743-line file has 440 statements and is asked about 350 of its
# expressions, and what is kept holds its nodes, so that twice as many cost memory for nothing.
SEEN: Final = 2048


@lru_cache(maxsize=SEEN)
def under(node: ast.AST) -> tuple[ast.AST, ...]:
    """Return a node and all below it as `walk` does, kept: for what a program itself has."""
    return tuple(walk(node))


def walk(node: ast.AST) -> list[ast.AST]:
    """Return a node and all below it in the order of `ast.walk`, without load and store marks.

    They are a third of all nodes, and the generator of ast takes twice as long.
    """
    found = [node]
    for outer in found:  # grows meanwhile
        for name in outer._fields:
            value = getattr(outer, name, None)
            if isinstance(value, list):
                found += [inner for inner in value if isinstance(inner, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                found.append(value)
    return found
