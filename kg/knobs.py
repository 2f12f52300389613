"""Canonical knobs: from a source name to a knob, and from a knob to its component and scope."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Holder:
    """The knobs of one kind of parameter group."""

    lr: str
    decay: str  # last part of `regularization.weight_decay.<decay>`
    betas: str  # `optimizer.<betas>_beta1`


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of knobs.toml, ready to look up."""

    components: dict[str, str]
    scopes: tuple[tuple[str, str], ...]
    switches: dict[str, tuple[str, str]]
    names: dict[str, str]
    within: tuple[tuple[re.Pattern[str], dict[str, str]], ...]
    holders: dict[str, Holder]


@cache
def rules() -> Rules:
    """Read knobs.toml once."""
    import tomllib  # 4 ms with datetime, which nothing else here needs

    text = Path(__file__).with_name("knobs.toml").read_text(encoding="utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    names = {name: knob for knob, known in data["names"].items() for name in known}
    return Rules(
        components=data["components"],
        scopes=tuple(data["scopes"].items()),
        switches={knob: (off, on) for knob, (off, on) in data["switches"].items()},
        names=names,
        within=tuple((re.compile(rule["scope"], re.I), rule["names"]) for rule in data["within"]),
        holders={name: Holder(**entry) for name, entry in data["holders"].items()},
    )


BASE = re.compile(r"^(?:base|peak|initial|init|default)_(?=\w+_lr$)")  # `BASE_EMBEDDING_LR`


@lru_cache(maxsize=8192)
def knob_named(name: str, context: str = "") -> str | None:
    """Return the knob a source name stands for, None if it is not a known one.

    ``context`` is where the name stands: function, class and callee.

    >>> knob_named("MATRIX_LR")
    'optimizer.matrix_lr'
    >>> knob_named("base", "GPT._precompute_rotary_embeddings")
    'position.rope_base'
    """
    plain = name.lower().strip("_")
    for pattern, names in rules().within:
        if plain in names and pattern.search(context):
            return names[plain]
    return rules().names.get(plain) or rules().names.get(BASE.sub("", plain))


@lru_cache(maxsize=4096)
def component_of(knob: str) -> str:
    """Return the component of a knob: it follows the prefix.

    >>> component_of("attention.backend"), component_of("init.scale"), component_of("x.y")
    ('precision_compile', 'initialization', 'other')
    """
    components = rules().components
    return components.get(knob) or components.get(knob.partition(".")[0], OTHER)


@lru_cache(maxsize=4096)
def scope_rule(knob: str) -> str:
    """Return how the optimizer scope of a knob is found: a scope, `all`, `decay` or `groups`."""
    return next((how for pattern, how in rules().scopes if is_among(knob, pattern)), "none")


def is_among(knob: str, pattern: str) -> bool:
    """Tell whether a knob is the one that is named, or starts as it does up to a `*`."""
    start, star, _ = pattern.partition("*")
    return knob.startswith(start) if star else knob == pattern


def switch_values(knob: str) -> tuple[str, str] | None:
    """Return the (off, on) values of a feature switch, None for any other knob."""
    return rules().switches.get(knob)


def holder(name: str) -> Holder:
    """Return the knobs of a parameter group; an unknown holder names its own."""
    known = rules().holders.get(name)
    return known or Holder(lr=f"optimizer.{name}_lr", decay=name, betas=name)


def is_known_holder(name: str) -> bool:
    """Tell whether a parameter group holds what knobs.toml knows."""
    return name in rules().holders


UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")


def unknown_knob(path: str) -> str:
    """Return the stable name of a knob that has no canonical one: `other.` and its path.

    >>> unknown_knob("RandomForestClassifier(n_estimators)")
    'other.RandomForestClassifier.n_estimators'
    """
    return f"{OTHER}." + UNSAFE.sub(".", path).strip(".")


PURPOSES = frozenset(
    f"{OTHER}.{word}"
    for word in (
        "bugfix", "docs", "environment", "refactor", "reset", "seed", "unspecified", "unparsed",
    )
)  # fmt: skip


def is_unknown(knob: str) -> bool:
    """Tell whether a knob is only a source path, with no canonical name.

    >>> is_unknown("other.STOP_LOSS"), is_unknown("other.seed"), is_unknown("init.scale")
    (True, False, False)
    """
    return knob.startswith(f"{OTHER}.") and knob not in PURPOSES
