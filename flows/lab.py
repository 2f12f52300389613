"""Where things are: one repository with its nightlab.toml and its `.nightlab` directory.

Everything below `.nightlab` is derived or scratch: it can be deleted, git and DVC hold the truth.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows import ledger
from flows.config import STATE, Config, Task, load_config
from flows.errors import CampaignError
from flows.repository import Repository
from kg.memory import Memory, open_memory

MAX_SOURCE_BYTES = 1024 * 1024  # a target is source code; a larger file is a mistake
BRANCH = "refs/heads/autoresearch/"
TAG = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.|$|lock$)){0,63}$")


@dataclass(frozen=True)
class Lab:
    """A repository under research."""

    repository: Repository
    config: Config

    @property
    def root(self) -> Path:
        """The user's checkout."""
        return self.repository.root

    @property
    def state(self) -> Path:
        """The `.nightlab` directory, made where it is missing and ignored by git from inside."""
        directory = self.root / STATE
        directory.mkdir(exist_ok=True)
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return directory

    @property
    def graph(self) -> Path:
        """The memory shared by every campaign of this repository."""
        return self.state / "graph"

    @cached_property
    def memory(self) -> Memory:
        """What is in it; a process that keeps this has read a campaign's board only once."""
        return open_memory(self.graph)

    @property
    def aliases(self) -> Path:
        """The user's own words for knobs, beside nightlab.toml."""
        return self.root / "aliases.toml"

    @property
    def semantic(self) -> Path:
        """The table of word vectors, where one was built; asking makes no directory."""
        return self.root / STATE / "semantic" / "table.npz"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One branch `autoresearch/<tag>` and the places it works in."""

    tag: str
    task_name: str
    task: Task
    profile: str
    directory: Path  # .nightlab/campaigns/<tag>

    @property
    def branch(self) -> str:
        """Short name of the accepted branch."""
        return f"autoresearch/{self.tag}"

    @property
    def ref(self) -> str:
        """Full name of the accepted branch."""
        return BRANCH + self.tag

    @property
    def work(self) -> Path:
        """What the agent sees and edits: a plain directory, no git work tree."""
        return self.directory / "work"

    @property
    def run(self) -> Path:
        """What a run sees: a fresh copy of the accepted tree and the candidate's target."""
        return self.directory / "run"

    @property
    def target(self) -> Path:
        """The one file the agent edits."""
        return self.work / self.task.target

    @property
    def results(self) -> Path:
        """Upstream's results.tsv, derived from the ledger."""
        return self.directory / "results.tsv"

    @property
    def plot(self) -> Path:
        """The metric over experiments, derived from the ledger."""
        return self.directory / "progress.png"


def open_lab(place: Path | None = None) -> Lab:
    """Open the lab that holds a directory (default: the current one).

    Raises:
        RepositoryError: There is no usable git repository.
        ConfigError: Its nightlab.toml is missing or wrong.
    """
    repository = Repository(place or Path.cwd())
    lab = Lab(repository, load_config(repository.root))
    os.environ["NIGHTLAB_ALIASES"] = str(lab.aliases)  # read by kg.lexicon
    wish = lab.config.semantic
    os.environ["NIGHTLAB_SEMANTIC"] = "" if wish == "off" else str(lab.semantic)
    os.environ["NIGHTLAB_SEMANTIC_OPEN"] = "1" if wish == "open" else ""
    return lab


def check_tag(tag: str) -> str:
    """Return a tag that is safe as a directory, a ref and a file name.

    Raises:
        CampaignError: It is not.
    """
    if not TAG.match(tag) or tag.endswith(".lock"):
        raise CampaignError(
            f"tag {tag!r}: not usable as a branch and directory name; "
            "take letters, digits, - _ and single dots, at most 64, such as nov22"
        )
    return tag


def campaign_of(lab: Lab, tag: str, task_name: str, profile: str) -> Campaign:
    """Return the places and the task of a campaign, checked against nightlab.toml.

    Raises:
        CampaignError: The tag, the task or the profile does not exist.
    """
    check_tag(tag)
    for kind, name, known in (
        ("task", task_name, lab.config.tasks),
        ("profile", profile, lab.config.profiles),
    ):
        if name not in known:
            raise CampaignError(
                f"{kind} {name!r}: not in nightlab.toml; take one of: {', '.join(sorted(known))}"
            )
    directory = lab.state / "campaigns" / tag
    return Campaign(tag, task_name, lab.config.tasks[task_name], profile, directory)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may choose when a campaign starts; None takes what it has or the default."""

    task: str | None = None
    profile: str | None = None
    budget_seconds: float | None = None


def open_campaign(lab: Lab, tag: str, wishes: Wishes = Wishes()) -> tuple[Campaign, float | None]:
    """Return a campaign and its training clock: as it was started, else as wished.

    Raises:
        CampaignError: A wish contradicts what the campaign was started with.
    """
    check_tag(tag)
    facts = begun_with(lab, tag)
    if facts is None:
        profile = wishes.profile or default_profile(lab)
        campaign = campaign_of(lab, tag, wishes.task or lab.config.task, profile)
        return campaign, wishes.budget_seconds or lab.config.profiles[profile].budget_seconds
    for kind, wish, has in (
        ("task", wishes.task, facts.task),
        ("profile", wishes.profile, facts.profile),
        ("budget", wishes.budget_seconds, facts.budget_seconds),
    ):
        if wish is not None and wish != has:
            raise CampaignError(
                f"campaign {tag}: was started with {kind} {has!r}, not {wish!r}, and results are "
                f"compared only within one {kind}; start another tag"
            )
    return campaign_of(lab, tag, facts.task, facts.profile), facts.budget_seconds


def begun_with(lab: Lab, tag: str) -> ledger.Facts | None:
    """Return what an experiment of a campaign says; all agree on task and clock.

    The branch's last commit, where it holds one: listing 10,000 experiments takes git 8 ms.
    """
    tip = ledger.read_entry(lab.repository, BRANCH + tag)
    if tip is not None and tip.facts.campaign == tag:
        return tip.facts
    first = next(iter(ledger.names(lab.repository, tag).values()), None)
    entry = ledger.read_entry(lab.repository, first) if first else None
    return entry.facts if entry else None


def default_profile(lab: Lab) -> str:
    """Return the profile of the committed params.yaml, else nightlab.toml's."""
    import yaml

    data = lab.repository.read(lab.repository.head(), "params.yaml")
    try:
        raw: Any = yaml.safe_load(data) if data else None
    except yaml.YAMLError:
        raw = None
    profile = raw.get("profile") if isinstance(raw, dict) else None
    return profile if isinstance(profile, str) else lab.config.profile


def tags(lab: Lab) -> list[str]:
    """Return the tags of every campaign, the one worked on last at the end."""
    branches = (ref.removeprefix(BRANCH) for ref in lab.repository.refs(BRANCH))
    found = {tag: (lab.state / "campaigns" / tag / "lock") for tag in branches}
    return sorted(found, key=lambda tag: found[tag].stat().st_mtime if found[tag].exists() else 0)


def current_tag(lab: Lab, place: Path) -> str:
    """Return the campaign a directory belongs to, else the one worked on last.

    Raises:
        CampaignError: There is no campaign yet.
    """
    campaigns = lab.root / STATE / "campaigns"  # `lab.state` would make the directory
    if place.resolve().is_relative_to(campaigns.resolve()):
        return place.resolve().relative_to(campaigns.resolve()).parts[0]
    known = tags(lab)
    if not known:
        raise CampaignError("no campaign here yet; run `nightlab start TAG`")
    return known[-1]


def edited(campaign: Campaign) -> bytes:
    """Return the bytes of the agent's edit.

    Raises:
        CampaignError: It is missing, a link, or too large to be source code.
    """
    path = campaign.target
    if path.is_symlink() or not path.is_file():
        raise CampaignError(f"{path}: is not a plain file; put the edited file there")
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise CampaignError(f"{path}: is larger than 1 MiB; a target is source code, not data")
    return path.read_bytes()


def read_target(lab: Lab, campaign: Campaign, commit: str) -> bytes:
    """Return the target at a commit.

    Raises:
        CampaignError: The commit has no such file.
    """
    source = lab.repository.read(commit, campaign.task.target)
    if source is None:
        raise CampaignError(
            f"{campaign.task.target}: is not in commit {commit[:7]}; commit it, or correct "
            f"tasks.{campaign.task_name}.target in nightlab.toml"
        )
    return source
