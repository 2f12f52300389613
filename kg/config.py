"""The effective configuration of a target file: every knob, its value, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from kg.config_literals import literal_settings
from kg.config_names import Names
from kg.config_optimizer import Scopes, group_settings
from kg.optimizers import read_optimizers
from kg.program import MAX_SOURCE, Program, parse
from kg.settings import Rank, Setting


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one version of a target file sets.

    ``settings`` has one entry a knob, the one that acts; ``places`` every place where a knob
    is set, dead ones included. A file that does not parse has ``parsed`` False and no settings.
    """

    settings: dict[str, Setting] = field(default_factory=dict)
    parsed: bool = True
    places: tuple[Setting, ...] = ()


UNPARSED = Configuration(parsed=False)


def configuration(source: str) -> Configuration:
    """Return the effective configuration of a source text; never raises.

    >>> configuration("DEPTH = 2**3").settings["model.depth"].folded
    8
    >>> configuration("DEPTH = ").parsed
    False
    """
    return UNPARSED if len(source) > MAX_SOURCE else configuration_cached(source)


@lru_cache(maxsize=256)
def configuration_cached(source: str) -> Configuration:
    """Read one version; the last few hundred are kept, keyed by the text."""
    program = parse(source)
    if program is None:
        return UNPARSED
    try:
        places = tuple(all_settings(program))
    except RecursionError:  # nests deeper than any real program: nothing can be said about it
        return UNPARSED
    return Configuration(speaking(places), True, places)


def all_settings(program: Program) -> Iterator[Setting]:
    """Yield every place where a knob is set, each with its optimizer scope."""
    names = Names(program)
    optimizers = read_optimizers(program, names)
    scopes = Scopes(names, optimizers)
    for found in (
        group_settings(program, names, optimizers),
        literal_settings(program, names),
    ):
        for setting in found:
            yield replace(setting, optimizer_scope=scopes.of(setting))


def speaking(places: tuple[Setting, ...]) -> dict[str, Setting]:
    """Choose the place that speaks for each knob: one that acts, then the most open one."""
    chosen: dict[str, Setting] = {}
    for setting in places:
        rival = chosen.get(setting.knob)
        if rival is None or weight(setting) > weight(rival):
            chosen[setting.knob] = setting
    return dict(sorted(chosen.items()))


def weight(setting: Setting) -> tuple[bool, Rank]:
    """Order the places of one knob."""
    return setting.effective is not False, setting.rank
