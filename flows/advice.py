"""Ask before you run: `nightlab check`, `nightlab recall`, and the check inside `nightlab try`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flows import ledger
from flows.errors import CampaignError, NotAdvised
from flows.lab import Campaign, Lab, current_tag, edited, open_campaign, read_target
from flows.ledger import Entry
from flows.output import emit, tell
from flows.stores import open_store
from kg.check import check
from kg.check_model import Advice, Advised
from kg.memory import Memory, open_memory

STOPS = (Advised.IDENTICAL, Advised.REPEAT)  # a dead end is said, and left to the agent


def check_command(options: argparse.Namespace) -> int:
    """`nightlab check`: was it tried, what came of it, what has changed since."""
    memory, lab = open_store(options.store)
    tag = tag_of(lab, options.tag)
    source, accepted = sources(lab, tag, options.file, bool(options.message))
    if source is None and not options.message:
        raise CampaignError("check: there is no file to judge here; give --message or --file")
    advice = check(
        memory,
        source,
        accepted,
        campaign=options.tag or known(memory, tag),
        message=options.message or "",
        as_of=options.as_of,
    )
    if options.json:
        emit(advice.to_json())
    else:
        say(advice)
    return advice.exit_code


def recall_command(options: argparse.Namespace) -> int:
    """`nightlab recall`: what the memory has to say about the file as it is now, in few tokens."""
    from kg.recall import recall

    memory, lab = open_store(options.store)
    tag = tag_of(lab, options.tag)
    source, _ = sources(lab, tag, options.file, False)
    digest = recall(
        memory,
        source,
        idea=options.idea or "",
        tokens=options.tokens,
        campaign=options.tag or known(memory, tag),
    )
    if options.json:
        emit(digest.to_json())
    elif digest.text:
        tell(digest.text.split("\n"))
    else:
        sys.stderr.write("nothing is known yet\n")
    return 0


def tag_of(lab: Lab | None, tag: str | None) -> str | None:
    """Return the campaign meant; None where there is none, as after an import."""
    if tag or lab is None:
        return tag
    try:
        return current_tag(lab, Path.cwd())
    except CampaignError:
        return None


def known(memory: Memory, tag: str | None) -> str | None:
    """Return a campaign if the memory has it; None, all it has, if it is one of others."""
    return tag if tag in memory.graph().campaigns() else None


def sources(
    lab: Lab | None, tag: str | None, file: str | None, message: bool
) -> tuple[str | None, str | None]:
    """Return the edited and the accepted target; a message alone is judged without a source."""
    tip = None if lab is None else lab.repository.resolve(f"refs/heads/autoresearch/{tag}")
    if lab is None or tag is None or tip is None:
        return None if file is None else ledger.text(Path(file).read_bytes()), None
    place, _ = open_campaign(lab, tag)
    accepted = ledger.text(read_target(lab, place, tip))
    if file is not None:
        return ledger.text(Path(file).read_bytes()), accepted
    source = ledger.text(edited(place))
    return (None if message and source == accepted else source), accepted


def gate(lab: Lab, place: Campaign, source: bytes, accepted: bytes, message: str) -> Advice:
    """Check an edit before it is run.

    Raises:
        NotAdvised: The same was tried and nothing that bears on it has changed since.
    """
    new, old = ledger.text(source), ledger.text(accepted)
    memory = open_memory(lab.graph)
    advice = check(memory, new, old, campaign=place.tag, message=message)
    if advice.verdict in STOPS:
        raise NotAdvised(advice.summary, advice.exit_code, advice.to_json())
    return advice


def earlier(lab: Lab, error: NotAdvised) -> Entry | None:
    """Return the experiment that ran the identical program, if that is why a run was stopped."""
    if error.advice["verdict"] != Advised.IDENTICAL or not error.advice["reasons"]:
        return None
    commit = ledger.names(lab.repository).get(error.advice["reasons"][0]["experiment"])
    return ledger.read_entry(lab.repository, commit) if commit else None


def say(advice: Advice) -> None:
    """Print advice in a few lines an agent can read."""
    lines = [advice.summary, *(f"- {reason.text}" for reason in advice.reasons[1:6])]
    lines += [f"- changed since: {difference.text}" for difference in advice.differences[:6]]
    if advice.alternative:
        lines.append(f"- untried: {advice.alternative.text}")
    tell([*lines, *(f"- note: {note}" for note in advice.notes)])
