"""What each class and function of a training script is for: attention, MLP, schedule, loop."""

from __future__ import annotations

import ast
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, callee
from kg.nodes import SEEN, under
from kg.optimizers import Optimizers
from kg.program import Program


class Role(StrEnum):
    """The job of a scope."""

    ATTENTION = "attention"
    MLP = "mlp"
    BLOCK = "block"
    MODEL = "model"
    NORM = "norm"
    ROTARY = "rotary"
    WINDOWS = "windows"
    INIT = "init"  # sets initial weights
    SETUP = "setup"  # builds the parameter groups
    OPTIMIZER = "optimizer"  # the update itself
    LR_SCHEDULE = "lr_schedule"
    MOMENTUM_SCHEDULE = "momentum_schedule"
    ADAM_SCHEDULE = "adam_schedule"  # of AdamW's betas
    DECAY_SCHEDULE = "decay_schedule"
    BOOKKEEPING = "bookkeeping"  # counts parameters or FLOPs, prints
    VALUE_EMBEDS = "value_embeds"
    CONFIG = "config"
    SCRIPT = "script"  # module level: setup, loop, evaluation
    OTHER = "other"


CLASS_ROLES: Final[tuple[tuple[re.Pattern[str], Role], ...]] = (
    (re.compile(r"optim|muon|adam|sgd|lion", re.I), Role.OPTIMIZER),
    (re.compile(r"config|settings|hparams|hyper_?param|args$", re.I), Role.CONFIG),
    (re.compile(r"norm", re.I), Role.NORM),
    (re.compile(r"rotary|rope|posit|alibi", re.I), Role.ROTARY),
    (re.compile(r"attn|attention|flash", re.I), Role.ATTENTION),
    (re.compile(r"mlp|ffn|feed_?forward|moe|expert|glu|router", re.I), Role.MLP),
    (re.compile(r"block|layer$|decoderlayer", re.I), Role.BLOCK),
    (re.compile(r"gpt|model|transformer|^lm|net(work)?$|llama", re.I), Role.MODEL),
)
FUNCTION_ROLES: Final[tuple[tuple[re.Pattern[str], Role], ...]] = (
    (re.compile(r"flops|num_\w*params|count_params|param_count|estimate_", re.I), Role.BOOKKEEPING),
    (re.compile(r"init_weights|_init_|reset_param|initiali[sz]e", re.I), Role.INIT),
    (re.compile(r"setup_optim|configure_optim|make_optim|create_optim|build_optim|get_optim",
                re.I), Role.SETUP),
    (re.compile(r"rotary|rope|rotate|freqs_cis|posit", re.I), Role.ROTARY),
    (re.compile(r"window|block_mask", re.I), Role.WINDOWS),
    (re.compile(r"has_ve|value_emb", re.I), Role.VALUE_EMBEDS),
    (re.compile(r"momentum|beta", re.I), Role.MOMENTUM_SCHEDULE),
    (re.compile(r"weight_decay|_wd", re.I), Role.DECAY_SCHEDULE),
    (re.compile(r"\blr|_lr|learning_rate", re.I), Role.LR_SCHEDULE),
    (re.compile(r"muon|adam|step_fused|newton|schulz|polar|zeropower|orthogonal", re.I),
     Role.OPTIMIZER),
    (re.compile(r"^norm|_norm$|rms", re.I), Role.NORM),
)  # fmt: skip
# Roles that a part of a model can pass on to the modules it is made of.
HOLDERS: Final = frozenset({Role.ATTENTION, Role.MLP, Role.BLOCK, Role.MODEL})
HELD_ROLES: Final = (
    (re.compile(r"^act(ivation)?\w*$|nonlin"), Role.MLP),
    *((pattern, role) for pattern, role in CLASS_ROLES if role is not Role.CONFIG),
)
KEY_ROLES: Final = {
    "lr": Role.LR_SCHEDULE,
    "momentum": Role.MOMENTUM_SCHEDULE,
    "betas": Role.ADAM_SCHEDULE,
    "weight_decay": Role.DECAY_SCHEDULE,
}


class Roles:
    """The role of every scope of one program."""

    def __init__(self, program: Program, names: Names, optimizers: Optimizers) -> None:
        self.program = program
        self.known: dict[str, Role] = {"": Role.SCRIPT}
        for name, node in program.classes.items():
            self.known[name] = class_role(name, node)
        self.known.update(self.held_roles(names))
        scheduled = scheduled_functions(program, names, optimizers)
        # locals of the loop that go into the groups: `momentum` of `group["momentum"] = momentum`
        self.written = {
            name: write.key
            for write in optimizers.overwrites
            if write.key in KEY_ROLES
            for name in written_from(write.value)
        }
        setups = {group.statement.scope for group in optimizers.groups}
        for name in program.functions:
            if name in scheduled:
                self.known[name] = scheduled[name]
            elif name in setups:
                self.known[name] = Role.SETUP
            else:
                self.known[name] = self.function_role(name)

    def held_roles(self, names: Names) -> dict[str, Role]:
        """Return the roles of modules that their own names do not tell: those of what holds them.

        `self.act = Bend()` in a block is part of its MLP, `self.gate = Bend()` in attention of it.
        """
        found: dict[str, set[Role]] = {}
        for attribute, bound in names.attributes.items():
            for value, scope in bound:
                made = callee(value) if isinstance(value, ast.Call) else ""
                owner = self.known.get(scope.partition(".")[0], Role.OTHER)
                if self.known.get(made) is not Role.OTHER or owner not in HOLDERS:
                    continue
                named = next((r for p, r in HELD_ROLES if p.search(attribute)), owner)
                found.setdefault(made, set()).add(named)
        # a linear layer of one's own, in attention and MLP alike, is neither
        return {made: roles.pop() for made, roles in found.items() if len(roles) == 1}

    def function_role(self, name: str) -> Role:
        """Return the role of a function: by its name, else that of what it stands in."""
        owner, _, last = name.rpartition(".")
        outer = self.known.get(owner, Role.OTHER) if owner else Role.OTHER
        if outer is Role.OPTIMIZER:
            return outer
        return named_role(last) or outer

    def of(self, scope: str) -> Role:
        """Return the role of a scope; an inner function has that of the outer one."""
        return self.known.get(scope, Role.OTHER)

    def scopes(self, *roles: Role) -> list[str]:
        """Return the scopes with one of some roles."""
        return [scope for scope, role in self.known.items() if role in roles]


@lru_cache(maxsize=SEEN)
def named_role(name: str) -> Role | None:
    """Return the role that the name of a function tells, if it does."""
    if name in ("__init__", "forward", "__call__"):
        return None
    return next((role for pattern, role in FUNCTION_ROLES if pattern.search(name)), None)


def written_from(value: ast.expr) -> list[str]:
    """Return the locals of the loop that a written value is, or is a multiple of."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        return [*written_from(value.left), *written_from(value.right)]
    return [value.id] if isinstance(value, ast.Name) else []


BLOCK: Final = re.compile(r"(?:block|layer)$", re.I)


def class_role(name: str, node: ast.ClassDef) -> Role:
    """Return the role of a class, by its bases, its name, then by the modules it holds."""
    if any("optimizer" in canonical(base).lower() for base in node.bases):
        return Role.OPTIMIZER
    last = name.rpartition(".")[2]
    if BLOCK.search(last) and held_in(node) & {"attn", "mlp", "ffn", "moe"}:
        return Role.BLOCK  # `MLPOnlyBlock` is a block that has an MLP
    for pattern, role in CLASS_ROLES:
        if pattern.search(last):
            return role
    held = held_in(node)
    if "lm_head" in held or "transformer" in held:
        return Role.MODEL
    if {"attn", "mlp"} <= held:
        return Role.BLOCK
    return Role.ATTENTION if {"c_q", "c_k"} <= held else Role.OTHER


def held_in(node: ast.ClassDef) -> set[str]:
    """Return the attributes that a class sets."""
    return {
        target.attr
        for inner in under(node)
        if isinstance(inner, ast.Assign)
        for target in inner.targets
        if isinstance(target, ast.Attribute)
    }


def scheduled_functions(program: Program, names: Names, optimizers: Optimizers) -> dict[str, Role]:
    """Find the functions whose result the loop writes into the parameter groups."""
    found: dict[str, Role] = {}
    for write in optimizers.overwrites:
        role = KEY_ROLES.get(write.key)
        if role is None:
            continue
        for node in under(write.value):
            bound = None
            if isinstance(node, ast.Name):
                bound = names.definition(node, write.statement.scope)
            for inner in under(bound[0]) if bound else [node]:
                if isinstance(inner, ast.Call) and callee(inner) in program.functions:
                    found.setdefault(callee(inner), role)
    return found
