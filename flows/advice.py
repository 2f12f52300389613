"""Ask before you run: `nightlab check` and `nightlab recall`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import CampaignError
from flows.output import emit, tell
from flows.stores import open_store
from flows.subject import FEWEST_TOKENS, Place, check_parses, subject_of
from kg.check import check
from kg.check_model import Advice
from kg.errors import BadArgument

if TYPE_CHECKING:
    from kg.recall import Digest

SHOWN = 6  # reasons, and what changed since, in what a person reads


def check_command(options: argparse.Namespace) -> int:
    """`nightlab check`: was it tried, what came of it, what has changed since."""
    memory, lab = open_store(options.store)
    file, place = path_of(options.file), Place(memory, lab, options.store is not None)
    advice = advise(place, options.tag, file, options.message or "", options.as_of)
    if options.json:
        emit(advice.to_json())
    else:
        say(advice)
    return advice.exit_code


def advise(
    place: Place,
    tag: str | None,
    file: Path | None,
    message: str,
    as_of: int | str | None = None,
) -> Advice:
    """Judge an edit or words; the command and the MCP tool answer with the same.

    Raises:
        BadArgument: There is no such campaign.
        CampaignError: There is nothing to judge, or it does not parse.
    """
    if isinstance(as_of, str):
        tag, as_of = place.memory.graph().moment(as_of, tag)
    subject = subject_of(place, tag, file, message, as_of)
    if subject.source is None and not message:
        raise CampaignError("check: there is no file to judge here; give a message or a file")
    if subject.source is not None:
        check_parses(subject.source, str(file) if file else "the edited target")
    found = check(
        place.memory,
        subject.source,
        subject.accepted,
        campaign=subject.campaign,
        message=message,
        as_of=as_of,
        scorer=subject.scorer,
    )
    return replace(found, notes=(*found.notes, *subject.notes))


def recall_command(options: argparse.Namespace) -> int:
    """`nightlab recall`: what the memory has to say about the file as it is now, in few tokens."""
    memory, lab = open_store(options.store)
    file, place = path_of(options.file), Place(memory, lab, options.store is not None)
    digest = remember(place, options.tag, file, options.idea or "", options.tokens)
    if options.json:
        emit(digest.to_json())
    elif digest.text:
        tell(digest.text.split("\n"))
    else:
        sys.stderr.write("nothing is known yet\n")
    return 0


def remember(place: Place, tag: str | None, file: Path | None, idea: str, tokens: int) -> Digest:
    """Return the digest for a file and an idea; the command and the MCP tool give the same.

    Raises:
        BadArgument: There is no such campaign, or the budget holds no line.
        CampaignError: The file cannot be read.
    """
    from kg.recall import recall

    if tokens < FEWEST_TOKENS:
        raise BadArgument(f"tokens={tokens}: holds no line; give {FEWEST_TOKENS} or more")
    subject = subject_of(place, tag, file, "")
    return recall(place.memory, subject.source, idea=idea, tokens=tokens, campaign=subject.campaign)


def path_of(name: str | None) -> Path | None:
    """Return a file named on the command line."""
    return None if name is None else Path(name)


def say(advice: Advice) -> None:
    """Print advice in a few lines an agent can read."""
    lines = [advice.summary, *few([f"- {reason.text}" for reason in advice.reasons[1:]], "reason")]
    if advice.ideas:
        lines.insert(1, f"- reads: {', '.join(idea.text for idea in advice.ideas)}")
    moved = [f"- changed since: {difference.text}" for difference in advice.differences]
    lines += few(moved, "change")
    if advice.alternative:
        lines.append(f"- untried: {advice.alternative.text}")
    tell([*lines, *(f"- note: {note}" for note in advice.notes)])


def few(lines: list[str], kind: str) -> list[str]:
    """Return the first of many lines, and how many there are besides: none is left out unsaid."""
    more = len(lines) - SHOWN
    if more <= 0:
        return lines
    return [*lines[:SHOWN], f"- and {more} more {kind}{'s' * (more > 1)}: --json tells all"]
