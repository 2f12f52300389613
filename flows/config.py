"""nightlab.toml: the tasks, their clocks and their verdicts, checked all at once.

Each key is checked by the small function in its annotation: a schema library takes longer to
start than `nightlab check` takes to answer (110 ms of CPU for six classes).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_type_hints

from flows.errors import ConfigError

FILE = "nightlab.toml"

Check: TypeAlias = Callable[[Any, str, list[str]], Any]  # (value, where, mistakes) -> value
Made = TypeVar("Made")


def expect(right: Callable[[Any], bool], must: str) -> Check:
    """Make a check of one value that must be something."""

    def check(value: Any, where: str, mistakes: list[str]) -> Any:
        if not right(value):
            mistakes.append(f"{where}: must be {must}, not {value!r}")
        return value

    return check


def number(right: Callable[[float], bool], must: str) -> Check:
    """Make a check of a number that must be something; `300` is 300.0."""
    plain = expect(lambda value: is_number(value) and right(value), must)

    def check(value: Any, where: str, mistakes: list[str]) -> Any:
        plain(value, where, mistakes)
        return float(value) if is_number(value) else value

    return check


def is_number(value: Any) -> bool:
    """Tell whether a value is a plain number; True is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_inside(value: Any) -> bool:
    """Tell whether a path stays inside the repository."""
    if not isinstance(value, str) or not value:
        return False
    return not Path(value).is_absolute() and ".." not in Path(value).parts


def one_of(*words: str) -> Check:
    """Make a check of a word that must be one of a few."""
    return expect(lambda value: value in words, f"one of {', '.join(map(repr, words))}")


def whole(least: int, most: float = math.inf) -> Check:
    """Make a check of a whole number in a range."""
    bound = f" and at most {most:g}" if most < math.inf else ""
    must = f"a whole number of at least {least}{bound}"
    return expect(lambda v: is_number(v) and isinstance(v, int) and least <= v <= most, must)


TEXT: Final = expect(lambda value: isinstance(value, str) and bool(value), "some text")
WORDS: Final = expect(lambda value: isinstance(value, str), "a text")
SWITCH: Final = expect(lambda value: isinstance(value, bool), "true or false")
SECONDS: Final = number(lambda value: value > 0, "a number above 0")
AMOUNT: Final = number(lambda value: value >= 0, "a number of at least 0")
PATH: Final = expect(is_inside, "a path inside the repository")


def paths(value: Any, where: str, mistakes: list[str]) -> Any:
    """Check a list of paths; return it as a tuple."""
    if not isinstance(value, list | tuple):
        mistakes.append(f"{where}: must be a list of paths, not {value!r}")
        return ()
    return tuple(PATH(path, f"{where}.{number}", mistakes) for number, path in enumerate(value))


def table(cls: type[Made]) -> Check:
    """Make a check of a table whose keys are the fields of a class; return an instance."""

    def check(value: Any, where: str, mistakes: list[str]) -> Made | None:
        if not isinstance(value, dict):
            mistakes.append(f"{where}: must be a table, not {value!r}")
            return None
        start, before = f"{where}." if where else "", len(mistakes)
        kinds = get_type_hints(cls, include_extras=True)
        mistakes += [f"{start}{name}: no such key" for name in value if name not in kinds]
        given = {}
        for one in fields(cls):  # type: ignore[arg-type]
            if one.name in value:
                (check_one,) = kinds[one.name].__metadata__
                given[one.name] = check_one(value[one.name], start + one.name, mistakes)
            elif one.default is MISSING and one.default_factory is MISSING:
                mistakes.append(f"{start}{one.name}: is missing")
        return cls(**given) if len(mistakes) == before else None

    return check


def tables(cls: type[Made], least: int = 0) -> Check:
    """Make a check of a table of tables, each of one class."""

    def check(value: Any, where: str, mistakes: list[str]) -> Any:
        if not isinstance(value, dict) or len(value) < least:
            mistakes.append(f"{where}: must have a table [{where}.NAME], not {value!r}")
            return {}
        return {name: table(cls)(one, f"{where}.{name}", mistakes) for name, one in value.items()}

    return check


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """When a result is kept; see flows/verdict.py."""

    tolerance: Annotated[float, AMOUNT] = 0.0  # metric units; differences up to it are equal
    much_code: Annotated[int, whole(0)] = 20  # net lines
    confirm: Annotated[bool, SWITCH] = False  # run a keep on a second seed first


@dataclass(frozen=True, slots=True)
class Task:
    """A target file, the command that measures it, and which way is better."""

    target: Annotated[str, PATH]
    command: Annotated[str, TEXT]
    metric: Annotated[str, TEXT]
    direction: Annotated[str, one_of("minimise", "maximise")] = "minimise"
    prepare: Annotated[str, WORDS] = ""
    inputs: Annotated[tuple[str, ...], paths] = ()
    verdict: Annotated[VerdictRule, table(VerdictRule)] = field(default_factory=VerdictRule)


@dataclass(frozen=True, slots=True)
class Profile:
    """The clock of one kind of machine."""

    limit_seconds: Annotated[float, SECONDS]
    budget_seconds: Annotated[float | None, SECONDS] = None  # None: prepare.py's own counts


@dataclass(frozen=True, slots=True)
class PrefectSettings:
    """What `nightlab serve` offers."""

    schedule: Annotated[str, WORDS] = "0 22 * * *"
    port: Annotated[int, whole(1, 65535)] = 4200


def one_profile() -> dict[str, Profile]:
    """Return the profile of a file that names none."""
    return {"cpu": Profile(limit_seconds=600.0)}


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of nightlab.toml."""

    tasks: Annotated[dict[str, Task], tables(Task, least=1)]
    profiles: Annotated[dict[str, Profile], tables(Profile)] = field(default_factory=one_profile)
    task: Annotated[str, WORDS] = "train"
    profile: Annotated[str, WORDS] = "cpu"
    agent: Annotated[str, WORDS] = "builtin"
    semantic: Annotated[str, one_of("off", "auto", "open")] = "auto"  # see kg/text_semantic.py
    prefect: Annotated[PrefectSettings, table(PrefectSettings)] = field(
        default_factory=PrefectSettings
    )


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
    mistakes: list[str] = []
    config: Config | None = table(Config)(raw, "", mistakes)
    if config is None:
        raise ConfigError(mistakes)
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
