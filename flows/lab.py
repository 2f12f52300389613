"""Where things are: one repository with its nightlab.toml and its `.nightlab` directory.

Everything below `.nightlab` is derived or scratch: it can be deleted, git and DVC hold the truth.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flows.config import Config, Task, load_config
from flows.errors import CampaignError
from flows.repository import Repository

STATE = ".nightlab"
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

    @cached_property
    def state(self) -> Path:
        """The `.nightlab` directory, made on first use and ignored by git from inside."""
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
