"""What the MCP server's tools do: the answers of the commands of the same names.

Nothing here knows the protocol. A tool answers with the object that `--json` prints, or, where
the answer is a text made for reading, with that text.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.errors import CampaignError, FlowError, RepositoryError
from kg.memory import Memory

if TYPE_CHECKING:
    from flows.endpoint_workers import Workers
    from flows.lab import Lab
    from flows.subject import Place
    from kg.query import Answer

UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control, direction and invisible characters: they hide text from people, not from agents."""


def visible(text: str) -> str:
    r"""Write characters that nobody sees as JSON escapes, so that JSON stays the same value.

    >>> visible("a\u202eb\x1b[1m")
    'a\\u202eb\\u001b[1m'
    """
    return UNSEEN.sub(lambda match: json.dumps(match.group())[1:-1], text)


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return the answer to a question as `nightlab ask --json` prints it."""
    return {
        "question": answer.question,
        "columns": list(answer.columns),
        "rows": answer.rows,
        "truncated": answer.truncated,
        "notes": list(answer.notes),
    }


class Tools:
    """The memory of a repository, or of a store alone, opened at the first call.

    All calls have to come from one thread: pyoxigraph's iterators, which a traceback may hold,
    must not be dropped by another.
    """

    def __init__(self, store: Path | None = None) -> None:
        self.store = store
        self.opened: tuple[Memory, Lab | None] | None = None
        self.workers: Workers | None = None

    def open(self) -> tuple[Memory, Lab | None]:
        """Return the memory, and the repository if there is one.

        A memory that was deleted since is made anew from git, as each command does.

        Raises:
            FlowError: There is neither a store nor a repository with a nightlab.toml.
        """
        from flows.stores import lab_memory, open_store

        if self.opened is None:
            self.opened = open_store(self.store)
        elif self.store is None and self.opened[1] is not None:
            lab_memory(self.opened[1])
        return self.opened

    def ask(
        self,
        question: str | None,
        arguments: Mapping[str, object],
        campaign: str | None,
        as_of: int | str | None,
    ) -> dict[str, Any]:
        """Answer a named question; without a name, list them.

        Raises:
            UnknownQuestion: No question has this name.
            BadArgument: It does not take this argument, or not this value; or there is no such
                campaign.
        """
        from kg.errors import UnknownQuestion
        from kg.query import questions

        if not question:
            from flows.question_help import questions_json

            return questions_json()
        if question not in questions():
            raise UnknownQuestion(question, questions())
        memory, _ = self.open()
        given = {name: str(value) for name, value in arguments.items()}
        return answer_json(memory.ask(question, given, campaign=campaign, as_of=as_of))

    def check(
        self, message: str, file: str | None, campaign: str | None, as_of: int | str | None
    ) -> dict[str, Any]:
        """Say whether the edit in the work directory, or in a file, is worth a run.

        Raises:
            FlowError: The file is not one of a repository around, or as `advise`.
            BadArgument: There is no such campaign.
        """
        from flows.advice import advise

        _, lab = self.open()
        if file is not None and lab is None:
            raise FlowError("file: there is no repository here to take it from; give a message")
        path = None if file is None or lab is None else inside(lab.root, file)
        return advise(self.place(), campaign, path, message, as_of).to_json()

    def recall(self, idea: str, tokens: int, campaign: str | None) -> str:
        """Return the digest of what bears on the file as it is now."""
        from flows.advice import remember

        return remember(self.place(), campaign, None, idea, tokens).text or "nothing is known yet"

    def place(self) -> Place:
        """Return the memory and the repository around it."""
        from flows.subject import Place

        memory, lab = self.open()
        return Place(memory, lab, self.store is not None)

    def schema(self) -> str:
        """Return classes, predicates, counts and ten examples, as `nightlab kg schema` does."""
        from kg.schema import schema, to_text

        return to_text(schema(self.open()[0]))

    def record_hypothesis(
        self, hypothesis: str, expected_delta: float | None, campaign: str | None
    ) -> dict[str, Any]:
        """Keep a hypothesis for the next `nightlab try`.

        Raises:
            RepositoryError: There is no repository here.
            CampaignError: There is no such campaign, or the hypothesis is empty or too long.
        """
        from flows.lab import current_tag, open_campaign, tags
        from flows.pending import record_hypothesis

        _, lab = self.open()
        if lab is None:
            raise RepositoryError("record_hypothesis: needs a repository with a campaign")
        tag = campaign or current_tag(lab, Path.cwd())
        known = tags(lab)
        if tag not in known:
            raise CampaignError(f"campaign {tag!r}: does not exist; take one of: {listed(known)}")
        place, _ = open_campaign(lab, tag)
        kept = record_hypothesis(place.directory, hypothesis, expected_delta)
        return {
            "campaign": tag,
            "hypothesis": kept.hypothesis,
            "expected_delta": kept.expected_delta,
        }

    async def sparql(self, query: str) -> dict[str, Any]:
        """Answer free SPARQL in a process that can be killed, as `nightlab sparql --json` does.

        Raises:
            FlowError: It was refused, does not parse, or took too long.
        """
        from kg.slow_shapes import hint

        reply = await (await self.started()).ask(query)
        if reply.status == 200:
            found: dict[str, Any] = reply.value
            return found
        told = reply.value["error"]
        advice = await asyncio.to_thread(hint, query, stopped=reply.status == 504)
        raise FlowError(f"{told}; {advice}" if advice else told)

    async def started(self) -> Workers:
        """Return the processes for free SPARQL, which start with the first query."""
        from flows.endpoint_workers import Workers

        memory, _ = self.open()
        if self.workers is None:
            self.workers = Workers(memory.directory, size=1)
            await self.workers.__aenter__()
        return self.workers

    async def aclose(self) -> None:
        """End the processes."""
        if self.workers is not None:
            await self.workers.__aexit__()
            self.workers = None


def inside(root: Path, name: str) -> Path:
    """Return a file of the repository.

    Raises:
        FlowError: It lies outside, as by `..` or a link, or is no file.
    """
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise FlowError(f"file {name!r}: is no file of this repository; give a path inside it")
    return path


def listed(names: list[str]) -> str:
    """Return names for a message."""
    return ", ".join(names[:20]) or "none yet"
