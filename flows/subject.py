"""What `check` and `recall` are asked about: a file or words, and a campaign of a memory."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from flows import ledger
from flows.comparable import scorer_told
from flows.errors import CampaignError
from flows.lab import BRANCH, Lab, current_tag, edited, open_campaign, read_target, tags
from kg.config import configuration
from kg.memory import Memory

FEWEST_TOKENS = 50  # one line of a digest takes 30 to 80


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged, and against what."""

    source: str | None  # the edited target; None where words are judged
    accepted: str | None  # what it was edited from, where there is a campaign
    campaign: str | None  # None: all of the memory
    notes: list[str] = field(default_factory=list)
    scorer: str | None = None  # hash of what scores a run now, where that was just changed


@dataclass(frozen=True, slots=True)
class Place:
    """A memory and the repository around it, if there is one."""

    memory: Memory
    lab: Lab | None
    named: bool = False  # the memory was named by `--store`, it need not be the repository's


def subject_of(
    place: Place, tag: str | None, file: Path | None, message: str, as_of: int | None = None
) -> Subject:
    """Return what a user or an agent means.

    A file that is named is judged; else words where the memory is another one than the
    repository's or the target is unedited; else the target.

    Raises:
        BadArgument: Neither the memory nor the repository has the campaign.
        CampaignError: The file does not exist.
    """
    if tag is not None:
        check_known(place, tag)
    mine = tag if tag or place.lab is None else last_campaign(place.lab)
    campaign = mine if mine in place.memory.graph().campaigns() else tag
    source, accepted = sources(place, mine, edit=file is None)
    unedited = source == accepted  # as of an earlier experiment all since would look like an edit
    if as_of is not None and accepted is not None:
        accepted = accepted_then(place, mine, as_of) or accepted
    scorer = None if as_of is not None or accepted is None else scorer_of(place, mine)
    if file is not None:
        return Subject(read(file), accepted, campaign, scorer=scorer)
    if message and (place.named or unedited):
        return Subject(None, accepted, campaign)
    if message:
        note = "the edited target was judged; the message only says what it is about"
        return Subject(source, accepted, campaign, [note], scorer)
    return Subject(source, accepted, campaign, scorer=scorer)


def check_known(place: Place, tag: str) -> None:
    """Refuse a campaign that neither the repository nor the memory knows, naming those known."""
    from kg.query import check_campaign

    if place.lab is None or tag not in tags(place.lab):
        check_campaign(place.memory.graph().store, tag)


def last_campaign(lab: Lab) -> str | None:
    """Return the campaign of this directory or the last one; None where none was started."""
    try:
        return current_tag(lab, Path.cwd())
    except CampaignError:
        return None


def sources(place: Place, tag: str | None, *, edit: bool) -> tuple[str | None, str | None]:
    """Return the target as it is edited, if asked for, and as it was accepted.

    Both are None without a campaign, and where a named memory is asked and one is missing, or
    nightlab.toml has no longer what the campaign was started with.

    Raises:
        CampaignError: The edited target is missing, or the accepted one, or the task or profile.
    """
    lab = place.lab
    tip = None if lab is None else lab.repository.resolve(f"{BRANCH}{tag}")
    if lab is None or tag is None or tip is None:
        return None, None
    try:
        campaign, _ = open_campaign(lab, tag)
        source = ledger.text(edited(campaign)) if edit else None
        return source, ledger.text(read_target(lab, campaign, tip))
    except CampaignError:
        if place.named:
            return None, None
        raise


def scorer_of(place: Place, tag: str | None) -> str | None:
    """Return what would score a run of a campaign, None unless it was changed just now."""
    lab = place.lab
    if lab is None or tag is None or lab.repository.resolve(BRANCH + tag) is None:
        return None
    return scorer_told(lab, open_campaign(lab, tag)[0], place.memory.graph())


def accepted_then(place: Place, tag: str | None, as_of: int) -> str | None:
    """Return the target that was accepted after an experiment, None where the memory has none."""
    if place.lab is None or tag is None or tag not in place.memory.graph().campaigns():
        return None
    row = place.memory.graph().board(tag, as_of).accepted
    commit = None if row is None else place.lab.repository.resolve(row.entry.commit)
    if commit is None:
        return None
    campaign, _ = open_campaign(place.lab, tag)
    return ledger.text(read_target(place.lab, campaign, commit))


def read(file: Path) -> str:
    """Return the text of a file.

    Raises:
        CampaignError: It cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8", "backslashreplace")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CampaignError(
            f"file {str(file)!r}: {why}; give the path of an edited target"
        ) from error


def check_parses(source: str, name: str) -> None:
    """Refuse a source that no run could start with.

    Raises:
        CampaignError: It is empty or does not parse.
    """
    if not source.strip():
        raise CampaignError(f"{name}: is empty; write the whole edited program into it")
    if configuration(source).parsed:
        return
    try:
        ast.parse(source)
        where = "it is nested too deeply"
    except SyntaxError as error:
        where = f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        where = str(error) or type(error).__name__
    raise CampaignError(f"{name}: does not parse ({where}); a run would crash, mend it first")
