from __future__ import annotations

import ast
import gc
from collections.abc import Iterator

import pytest

from kg.syntax import syntax_tree

BROKEN = ["x = (", "x = 1\0", "x = '\ud800'", "(" * 300, "-" * 100_000 + "1", "x = " + "9" * 5000]
LONG = "a = [1, 2, (3, f(x))]\n" * 500  # enough nodes for several collections


@pytest.fixture
def parsing_collector() -> Iterator[None]:
    """Let every collection parse something, deeper in the stack than what it interrupts."""

    def deep(levels: int) -> object:
        return deep(levels - 1) if levels else ast.parse("x")

    def collecting(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            deep(10)

    threshold = gc.get_threshold()
    gc.set_threshold(50)
    gc.callbacks.append(collecting)
    yield
    gc.callbacks.remove(collecting)
    gc.set_threshold(*threshold)


@pytest.mark.parametrize("source", BROKEN)
def test_what_is_no_python_has_no_tree(source: str) -> None:
    assert syntax_tree(source) is None
    assert syntax_tree(source, "eval") is None


def test_a_collection_that_parses_breaks_no_tree(parsing_collector: None) -> None:
    tree = syntax_tree(LONG)
    assert tree is not None
    assert len(tree.body) == 500
    assert gc.isenabled()


def test_a_tree_that_another_thread_broke_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([SystemError("recursion depth mismatch"), ast.Module([], [])])

    def parse(*_: object, **__: object) -> ast.Module:
        answer = next(answers)
        if isinstance(answer, SystemError):
            raise answer
        return answer

    monkeypatch.setattr(ast, "parse", parse)
    assert syntax_tree("") is not None
