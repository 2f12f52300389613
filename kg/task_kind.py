"""What kind of program a target file is: the names of a GPT's knobs mean nothing in another task.

`smoothing=10` of a target encoding is no label smoothing, and the `learning_rate` of gradient
boosting no optimizer's. The imports tell: a neural library, or libraries of other kinds and none
of it. Where neither is imported the file is taken for a trainer, as it is if its classes or
constants are those of one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Final

from kg.knobs import OTHER, PURPOSES, component_of, is_unknown, unknown_knob
from kg.model import Change, ChangeType, OptimizerScope
from kg.program import Program
from kg.settings import Setting


class Kind(IntEnum):
    """What a target file is about."""

    OTHER = 0  # another task: its knobs are named by their place in the source
    NEURAL = 1
    TRANSFORMER = 2


NEURAL: Final = frozenset(re.findall(r"\w+", """
    torch torchvision torchaudio lightning pytorch_lightning accelerate transformers
    triton mlx jax flax haiku optax equinox tinygrad tensorflow keras paddle mindspore
"""))  # fmt: skip
ANOTHER: Final = frozenset(re.findall(r"\w+", """
    numpy scipy pandas polars sklearn xgboost lightgbm catboost statsmodels prophet cvxpy
    networkx gymnasium gym cv2 skimage numba pulp ortools deap optuna hmmlearn pymc arch
"""))  # fmt: skip
TRANSFORMER: Final = re.compile(r"GPT|Transformer|Attention|Attn|Llama|LanguageModel|Mamba")
CONSTANTS: Final = frozenset(re.findall(r"\w+", """
    aspect_ratio head_dim window_pattern total_batch_size device_batch_size embedding_lr
    unembedding_lr matrix_lr scalar_lr warmdown_ratio final_lr_frac n_layer n_head n_embd
"""))  # fmt: skip
FEW: Final = 2  # constants of a GPT trainer that make a file one


def kind_of(program: Program) -> Kind:
    """Tell what a program is about."""
    if any(TRANSFORMER.search(name) for name in program.classes):
        return Kind.TRANSFORMER
    roots = set(imported(program))
    if roots & NEURAL or not roots & ANOTHER:
        return Kind.NEURAL
    mentioned = {name.lower() for name in program.mentions("")}
    return Kind.NEURAL if len(mentioned & CONSTANTS) >= FEW else Kind.OTHER


def imported(program: Program) -> Iterator[str]:
    """Yield the packages a program imports, wherever it does."""
    for statement in program.statements:
        node = statement.node
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def by_place(setting: Setting) -> Setting:
    """Return a setting of another task under the name of its place in the source."""
    if setting.knob.partition(".")[0] == OTHER:
        return setting
    none = OptimizerScope.NONE
    knob = unknown_knob(setting.path)
    return replace(setting, knob=knob, component=component_of(knob), optimizer_scope=none)


def in_kind(found: list[Change], before: Kind, after: Kind, restored: bool) -> list[Change]:
    """Return changes with names that mean something in both versions.

    Where a program of one kind took the place of another one that is the change; what the other
    one sets is told beside it.
    """
    if before is Kind.OTHER and after is Kind.OTHER:
        return once(plain(change) for change in found)
    if Kind.OTHER not in (before, after) and not before > after > Kind.OTHER:
        return found
    kind = ChangeType.REVERT if restored else ChangeType.REPLACE
    return [*(c for c in found if is_unknown(c.knob)), replace(UNSPECIFIED, change_type=kind)]


def plain(change: Change) -> Change:
    """Return a change of another task without the name of a GPT's knob."""
    if change.knob in PURPOSES or is_unknown(change.knob) or change.component == "evaluation":
        return change
    knob = unknown_knob(change.path) if change.path else UNSPECIFIED.knob
    return replace(change, knob=knob, component=OTHER, optimizer_scope=OptimizerScope.NONE)


def once(found: Iterable[Change]) -> list[Change]:
    """Return changes, of each knob the first."""
    return list({change.knob: change for change in reversed(list(found))}.values())[::-1]


UNSPECIFIED: Final = Change(
    knob="other.unspecified",
    component=OTHER,
    change_type=ChangeType.REPLACE,
    optimizer_scope=OptimizerScope.NONE,
    old=None,
    new=None,
)
