"""The effective configuration of a target file: every knob, its value, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from kg.config_arguments import command_line_settings
from kg.config_literals import literal_settings
from kg.config_names import Names
from kg.config_optimizer import Scopes, group_settings
from kg.effective import judged_settings
from kg.idioms_activation import activation_settings
from kg.idioms_attention import attention_settings
from kg.idioms_features import feature_settings
from kg.idioms_init import init_settings
from kg.idioms_layers import layer_kind_settings
from kg.idioms_loop import run_settings
from kg.idioms_loss import loss_settings
from kg.idioms_model import model_settings
from kg.idioms_norm import norm_settings
from kg.idioms_output import output_settings
from kg.idioms_residual import residual_settings
from kg.idioms_schedule import schedule_settings
from kg.knobs import component_of, is_unknown
from kg.optimizers import Optimizers, read_optimizers
from kg.parsing import KEPT, MAX_SOURCE, parse
from kg.program import Program
from kg.roles import Roles
from kg.settings import Rank, Setting
from kg.syntax import paused_collection
from kg.task_kind import Kind, by_place, kind_of


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
    known = analysis(source)
    return known.configuration if known is not None else UNPARSED


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One version read through: its program, the role of each part, its configuration."""

    program: Program
    roles: Roles
    scopes: Scopes
    configuration: Configuration
    kind: Kind


def analysis(source: str) -> Analysis | None:
    """Read one version through, None if it does not parse."""
    return None if len(source) > MAX_SOURCE else analysis_cached(source)


@lru_cache(maxsize=KEPT)
def analysis_cached(source: str) -> Analysis | None:
    """Read one version; the last ones are kept, keyed by the text."""
    program = parse(source)
    if program is None:
        return None
    try:
        with paused_collection():
            names = Names(program)
            optimizers = read_optimizers(program, names)
            roles = Roles(program, names, optimizers)
            scopes = Scopes(program, names, optimizers, roles)
            kind = kind_of(program)
            settings = all_settings(program, names, optimizers, roles, scopes, kind)
            places = tuple(settings if kind else map(by_place, settings))
    except RecursionError:  # nests deeper than any real program: nothing can be said about it
        return None
    return Analysis(program, roles, scopes, Configuration(speaking(places), True, places), kind)


def all_settings(
    program: Program,
    names: Names,
    optimizers: Optimizers,
    roles: Roles,
    scopes: Scopes,
    kind: Kind,
) -> Iterator[Setting]:
    """Yield every place where a knob is set, each with its optimizer scope."""
    known = []
    if kind:
        known = idiom_settings(program, names, optimizers, roles)
    read = {setting.span for setting in known}
    for setting in (
        *literal_settings(program, names, roles),
        *command_line_settings(program, names),
    ):
        # An unknown literal in a line that an idiom has read is no knob of its own.
        if not (is_unknown(setting.knob) and setting.span in read):
            known.append(setting)
    for setting in judged_settings(known, program, names, optimizers):
        knob = scopes.knob_reached(setting)
        reach = scopes.of_place(knob, setting.path)
        component = component_of(knob)
        if (knob, component, reach) != (setting.knob, setting.component, setting.optimizer_scope):
            setting = replace(setting, knob=knob, component=component, optimizer_scope=reach)
        yield setting


def idiom_settings(
    program: Program, names: Names, optimizers: Optimizers, roles: Roles
) -> list[Setting]:
    """Return what the shape of a trainer's code sets."""
    return [
        *group_settings(program, names, optimizers),
        *schedule_settings(program, names, roles, optimizers),
        *run_settings(program, names, roles, optimizers),
        *attention_settings(program, names, roles),
        *model_settings(program, names, roles),
        *layer_kind_settings(program, roles),
        *norm_settings(program, roles),
        *residual_settings(program, names, roles),
        *output_settings(program, names, roles),
        *activation_settings(program, names, roles),
        *init_settings(program, names, roles),
        *loss_settings(program, names, roles),
        *feature_settings(program, names, roles),
    ]


def speaking(places: tuple[Setting, ...]) -> dict[str, Setting]:
    """Choose the place that speaks for each knob: one that acts, then the most open one."""
    chosen: dict[str, Setting] = {}
    for setting in places:
        if setting.hidden:
            continue
        rival = chosen.get(setting.knob)
        if rival is None or weight(setting) > weight(rival):
            chosen[setting.knob] = setting
    return dict(sorted(chosen.items()))


def weight(setting: Setting) -> tuple[bool, Rank]:
    """Order the places of one knob."""
    return setting.effective is not False, setting.rank
