"""nightlab.toml: the tasks, their clocks and their verdicts.

flows/config_check.py checks the file. Importing pydantic for it takes 70 ms of the 400 that a cold
`nightlab check` may take, so the hash of a text that was found right is kept below `.nightlab`.
"""

from __future__ import annotations

import contextlib
import hashlib
import tomllib
from dataclasses import dataclass, field
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
KEPT = "config.checked"  # in STATE
MEASURES = ("tolerance", "limit_seconds", "budget_seconds")
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
    """Return what a text says if it was checked, None if it was not.

    The values are the text's own: a run can write below `.nightlab` without anybody seeing it.
    """
    try:
        checked_before = kept.read_text(encoding="utf-8") == digest(text)
        return read(text) if checked_before else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def checked(kept: Path, text: str) -> Config:
    """Check a text and keep that it is right, where there is a place for it.

    What is right only because pydantic makes a number of "20" is checked each time.

    Raises:
        ConfigError: With every mistake found, each with its place.
    """
    from flows.config_check import parse_config

    config = parse_config(text)
    draft = kept.with_suffix(".tmp")
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        if repr(read(text)) == repr(config):
            draft.write_text(digest(text), encoding="utf-8")
            draft.replace(kept)
    return config


def digest(text: str) -> str:
    """Return a hash of a text and of the version of its rules."""
    rules = (Path(__file__).with_name(name).stat() for name in ("config.py", "config_check.py"))
    version = [(rule.st_mtime_ns, rule.st_size) for rule in rules]
    return hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()


def read(text: str) -> Config:
    """Return what a text says that has no mistakes; any error if it has."""
    raw = tomllib.loads(text)
    parts: dict[str, Any] = {"tasks": {name: task(one) for name, one in raw["tasks"].items()}}
    if "profiles" in raw:
        found = raw["profiles"].items()
        parts["profiles"] = {name: Profile(**exact(profile)) for name, profile in found}
    if "prefect" in raw:
        parts["prefect"] = PrefectSettings(**raw["prefect"])
    return Config(**{**raw, **parts})


def task(raw: dict[str, Any]) -> Task:
    """Return a task from its table."""
    inputs, verdict = tuple(raw.get("inputs", ())), VerdictRule(**exact(raw.get("verdict", {})))
    return Task(**{**raw, "inputs": inputs, "verdict": verdict})


def exact(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a table with its measures as floats: TOML's 60 is an integer."""
    return {key: float(value) if key in MEASURES else value for key, value in raw.items()}
