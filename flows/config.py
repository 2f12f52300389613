"""nightlab.toml: the tasks, their clocks and their verdicts, checked all at once."""

from __future__ import annotations

import tomllib
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flows.errors import ConfigError

FILE = "nightlab.toml"
STRICT = ConfigDict(extra="forbid", defer_build=True)

Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0)]


def below_root(path: str) -> str:
    """Refuse a path that is absolute or climbs out of the repository.

    Raises:
        ValueError: It is one; pydantic makes it one of the mistakes that are named.
    """
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("must be a path inside the repository")
    return path


RelativePath = Annotated[str, AfterValidator(below_root)]


@dataclass(frozen=True, slots=True, config=STRICT)
class VerdictRule:
    """When a result is kept; see flows/verdict.py."""

    tolerance: Annotated[float, Field(ge=0)] = 0.0  # metric units; differences up to it are equal
    much_code: Annotated[int, Field(ge=0)] = 20  # net lines
    confirm: bool = False  # run a keep on a second seed before the branch advances


@dataclass(frozen=True, slots=True, config=STRICT)
class Task:
    """A target file, the command that measures it, and which way is better."""

    target: RelativePath
    command: Text
    metric: Text
    direction: Literal["minimise", "maximise"] = "minimise"
    prepare: str = ""
    inputs: tuple[RelativePath, ...] = ()
    verdict: VerdictRule = field(default_factory=VerdictRule)


@dataclass(frozen=True, slots=True, config=STRICT)
class Profile:
    """The clock of one kind of machine."""

    limit_seconds: Seconds
    budget_seconds: Seconds | None = None  # None: prepare.py's own budget counts


@dataclass(frozen=True, slots=True, config=STRICT)
class PrefectSettings:
    """What `nightlab serve` offers."""

    schedule: str = "0 22 * * *"
    port: Annotated[int, Field(ge=1, le=65535)] = 4200


@dataclass(frozen=True, slots=True, config=STRICT)
class Config:
    """The whole of nightlab.toml."""

    tasks: Annotated[dict[str, Task], Field(min_length=1)]
    profiles: dict[str, Profile] = field(
        default_factory=lambda: {"cpu": Profile(limit_seconds=600.0)}
    )
    task: str = "train"
    profile: str = "cpu"
    agent: str = "builtin"
    semantic: Literal["off", "auto", "open"] = "auto"  # see kg/text_semantic.py
    prefect: PrefectSettings = field(default_factory=PrefectSettings)


def load_config(root: Path) -> Config:
    """Read and check the nightlab.toml of a repository.

    Raises:
        ConfigError: It is missing, not TOML, or has mistakes; every one is named.
    """
    path = root / FILE
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        mistake = f"{path.name} is missing in {root}; `nightlab init` writes one"
        raise ConfigError([mistake]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot be read: {error}"]) from error


def parse_config(text: str) -> Config:
    """Check the text of a nightlab.toml.

    Raises:
        ConfigError: With every mistake found, each with its place.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"not TOML: {error}"]) from error
    try:
        config = TypeAdapter(Config).validate_python(raw)
    except ValidationError as error:
        raise ConfigError([sentence(item) for item in error.errors()]) from error
    mistakes = [
        f"{name}: no such {name} {value!r}; there are: {', '.join(sorted(known))}"
        for name, value, known in (
            ("task", config.task, config.tasks),
            ("profile", config.profile, config.profiles),
        )
        if value not in known
    ]
    if mistakes:
        raise ConfigError(mistakes)
    return config


def sentence(item: Any) -> str:
    """Turn one of pydantic's findings into `where: what`."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: no such key"
    if item["type"] == "missing":
        return f"{where}: is missing"
    shown = item.get("input")
    value = f", not {shown!r}" if isinstance(shown, str | int | float | bool) else ""
    return f"{where}: {item['msg'][:1].lower()}{item['msg'][1:]}{value}"
