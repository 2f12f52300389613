"""The rules of nightlab.toml: every mistake is found at once and named with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from posixpath import normpath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from flows.config import Config, Task
from flows.errors import ConfigError

Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0)]


def below_root(path: str) -> str:
    """Return a path as git names it; refuse one that is absolute or climbs out of the repository.

    Raises:
        ValueError: It is one; pydantic makes it one of the mistakes that are named.
    """
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("must be a path inside the repository")
    return normpath(path)


NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
OneOrMore = Annotated[dict[str, Task], Field(min_length=1)]
RelativePath = Annotated[str, AfterValidator(below_root)]


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
        config: Config = reader().validate_python(raw)
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


def reader() -> TypeAdapter[Config]:
    """Return what reads the classes of flows/config.py, which name the rules here."""
    found = TypeAdapter(Config)
    found.rebuild(_types_namespace=globals())
    return found


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
