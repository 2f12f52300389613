"""nightlab.toml: the tasks, their clocks and their verdicts.

flows/config_check.py checks the file. Importing pydantic for it takes 70 ms of the 400 that a cold
`nightlab check` may take, so what was found right is kept below `.nightlab`, as JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from flows.errors import ConfigError

if TYPE_CHECKING:
    from flows.config_check import (
        Count,
        NotNegative,
        OneOrMore,
        Port,
        RelativePath,
        Seconds,
        Text,
    )

FILE = "nightlab.toml"
STATE = ".nightlab"
KEPT = "config.json"  # in STATE
STRICT = {"extra": "forbid"}  # of pydantic


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """When a result is kept; see flows/verdict.py."""

    __pydantic_config__: ClassVar = STRICT

    tolerance: NotNegative = 0.0  # metric units; differences up to it are equal
    much_code: Count = 20  # net lines
    confirm: bool = False  # run a keep on a second seed before the branch advances


@dataclass(frozen=True, slots=True)
class Task:
    """A target file, the command that measures it, and which way is better."""

    __pydantic_config__: ClassVar = STRICT

    target: RelativePath
    command: Text
    metric: Text
    direction: Literal["minimise", "maximise"] = "minimise"
    prepare: str = ""
    inputs: tuple[RelativePath, ...] = ()
    verdict: VerdictRule = field(default_factory=VerdictRule)


@dataclass(frozen=True, slots=True)
class Profile:
    """The clock of one kind of machine."""

    __pydantic_config__: ClassVar = STRICT

    limit_seconds: Seconds
    budget_seconds: Seconds | None = None  # None: prepare.py's own budget counts


@dataclass(frozen=True, slots=True)
class PrefectSettings:
    """What `nightlab serve` offers."""

    __pydantic_config__: ClassVar = STRICT

    schedule: str = "0 22 * * *"
    port: Port = 4200


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of nightlab.toml."""

    __pydantic_config__: ClassVar = STRICT

    tasks: OneOrMore
    profiles: dict[str, Profile] = field(
        default_factory=lambda: {"cpu": Profile(limit_seconds=600.0)}
    )
    task: str = "train"
    profile: str = "cpu"
    agent: str = "builtin"
    semantic: Literal["off", "auto", "open"] = "auto"  # see kg/text_semantic.py
    prefect: PrefectSettings = field(default_factory=PrefectSettings)


def load_config(root: Path) -> Config:
    """Read the nightlab.toml of a repository, and check it unless this very text was checked.

    Raises:
        ConfigError: It is missing, not TOML, or has mistakes; every one is named.
    """
    path, kept = root / FILE, root / STATE / KEPT
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        mistake = f"{path.name} is missing in {root}; `nightlab init` writes one"
        raise ConfigError([mistake]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot be read: {error}"]) from error
    return known(kept, text) or checked(kept, text)


def known(kept: Path, text: str) -> Config | None:
    """Return what a file said when it was checked, None unless it was this text."""
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return restored(found["config"]) if found["of"] == digest(text) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def checked(kept: Path, text: str) -> Config:
    """Check a text and keep what it says, where there is a place for it.

    Raises:
        ConfigError: With every mistake found, each with its place.
    """
    from flows.config_check import parse_config

    config = parse_config(text)
    draft = kept.with_suffix(".tmp")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps({"of": digest(text), "config": asdict(config)}), "utf-8")
        draft.replace(kept)
    return config


def digest(text: str) -> str:
    """Return a hash of a text and of the version of its rules."""
    rules = (Path(__file__).with_name(name).stat() for name in ("config.py", "config_check.py"))
    version = [(rule.st_mtime_ns, rule.st_size) for rule in rules]
    return hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()


def restored(raw: dict[str, Any]) -> Config:
    """Return a configuration from its JSON."""
    tasks = {name: restored_task(task) for name, task in raw["tasks"].items()}
    profiles = {name: Profile(**profile) for name, profile in raw["profiles"].items()}
    parts = {"tasks": tasks, "profiles": profiles, "prefect": PrefectSettings(**raw["prefect"])}
    return Config(**{**raw, **parts})


def restored_task(raw: dict[str, Any]) -> Task:
    """Return a task from its JSON."""
    parts = {"inputs": tuple(raw["inputs"]), "verdict": VerdictRule(**raw["verdict"])}
    return Task(**{**raw, **parts})
