"""What `nightlab ask` says of the questions themselves: the list, and the help of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kg.arguments import SETS
from kg.query import Argument, Question, questions

AFTER = (
    "Every question takes --campaign TAG, --as-of N and --json; `nightlab ask NAME help` says what"
    " its arguments and columns mean."
)


def questions_json() -> dict[str, Any]:
    """Return every question with what it answers, what it takes and how it is asked."""
    return {"questions": [question_json(question) for question in questions().values()]}


def question_json(question: Question) -> dict[str, Any]:
    """Return one question as its help says it, with the words of its closed sets."""
    return {
        "name": question.name,
        "summary": question.summary,
        "description": question.description,
        "arguments": [
            {
                "name": argument.name,
                "kind": argument.kind,
                "required": argument.required,
                "default": argument.default or None,
                "help": argument.help,
                **({"one_of": list(SETS[argument.kind])} if argument.kind in SETS else {}),
            }
            for argument in question.arguments
        ],
        "columns": list(question.columns),
        "example": question.example,
    }


def listed() -> Iterator[str]:
    """Yield the list of questions: what each answers, what it takes, one example."""
    known = questions()
    width = max(map(len, known)) + 2
    for name, question in known.items():
        yield f"{name:<{width}}{question.summary}"
        yield f"{'':<{width}}{' '.join(map(usage, question.arguments))}"
        yield f"{'':<{width}}example: nightlab ask {question.example}"
    yield ""
    yield AFTER


def usage(argument: Argument) -> str:
    """Return an argument as a usage line has it: `knob=`, in brackets if it may be left out."""
    return f"{argument.name}=" if argument.required else f"[{argument.name}=]"


def described(question: Question) -> Iterator[str]:
    """Yield the help of one question."""
    yield f"{question.name}: {question.summary}"
    yield from (question.description, "") if question.description else ("",)
    width = max(len(usage(argument)) for argument in question.arguments) + 2
    for argument in question.arguments:
        more = f"; one of {', '.join(SETS[argument.kind])}" if argument.kind in SETS else ""
        default = f" (default {argument.default})" if argument.default else ""
        yield f"  {usage(argument):<{width}}{argument.help}{default}{more}"
    yield ""
    yield f"columns: {' '.join(question.columns)}"
    yield f"example: nightlab ask {question.example}"
