from __future__ import annotations

import json

import pytest

from flows.cli import main
from kg.query import questions


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["ask", *words]) == 0
    return capsys.readouterr().out


def test_the_list_of_questions_shows_arguments_and_an_example_of_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys)
    lines = [line.rstrip() for line in text.splitlines()]
    assert said(capsys, "help") == text
    place = next(n for n, line in enumerate(lines) if line.startswith("attempts  "))
    assert lines[place].endswith("whether another try is justified.")
    assert [line.strip() for line in lines[place + 1 : place + 3]] == [
        "knob= [direction=] [value=] [limit=]",
        "example: nightlab ask attempts knob=optimizer.matrix_lr direction=increase",
    ]
    assert lines[place + 1].startswith("  ")
    assert all(f"nightlab ask {question.example}" in text for question in questions().values())


def test_the_help_of_a_question_says_what_each_argument_may_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "unexplored", "help")
    assert "one of never touched, one direction, open, bracketed\n" in text
    assert "  [limit=]      rows at most (default 200)\n" in text
    assert "columns: component knob value state" in text


def test_the_list_as_json_gives_every_argument_with_its_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = json.loads(said(capsys, "--json"))["questions"]
    assert [question["name"] for question in found] == list(questions())
    (sweeps,) = [question for question in found if question["name"] == "sweeps"]
    assert [one["name"] for one in sweeps["arguments"]] == ["knob", "least", "limit"]
    assert sweeps["arguments"][1] == {
        "name": "least",
        "kind": "number",
        "required": False,
        "default": "3",
        "help": "attempts it takes",
    }
    one = json.loads(said(capsys, "attempts", "help", "--json"))
    assert "increase" in one["arguments"][1]["one_of"]
