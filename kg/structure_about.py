"""What one statement is about, apart from any knob: the machine, the log, a layer's number."""

from __future__ import annotations

import ast
import re
from typing import Final

from kg.config_names import assignments, callee
from kg.given import default_given
from kg.late import late
from kg.program import Statement
from kg.roles import Roles
from kg.structure import REPORTS


def numbers_layers(statement: Statement) -> bool:
    """Tell whether a statement only keeps the number of a layer: `self.layer_idx = layer_idx`."""
    node = statement.node
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name):
        return False
    target = node.targets[0]
    return isinstance(target, ast.Attribute) and target.attr.lstrip("_") == node.value.id


def asks_presence(statement: Statement) -> bool:
    """Tell whether a statement only asks if a module is there: `if block.attn is not None:`."""
    if isinstance(statement.node, ast.Continue | ast.Pass):
        return True
    return isinstance(statement.node, ast.If) and PRESENCE.match(statement.text) is not None


PRESENCE: Final = late(
    r"If (?:\(BoolOp \(And\) \[)?(?:,?\(\w[\w.]* is (?:not )?None\))+(?:\]\))?$|If hasattr\("
)


def is_environment(statement: Statement) -> bool:
    """Tell whether a statement is about the machine a script runs on."""
    names = statement.names
    if any(default_given(value) is not value for _, value in assignments(statement.node)):
        names -= {"environ"}  # a setting with a default, not the machine
    if any(ENVIRONMENT.match(name) for name in names):
        return True
    return bool(HARDWARE.search(statement.text))


ENVIRONMENT: Final = late(
    r"^(environ|cuda|mps|is_available|get_device\w*|device\w*|get_kernel|kernels?|backend|dist|DDP"
    r"|rank|local_rank|world_size|nccl|\w*PEAK_FLOPS|\w*TFLOPS|peak_flops|empty_cache|no_sync"
    r"|max_memory_allocated|current_allocated_memory|nullcontext|contextlib|gpu\w*|vram\w*|num_workers"
    r"|pin_memory|non_blocking|set_device|cap|repo|fa3|hip|rocm|xla|npu|GPU\w*|VRAM\w*|synchronize"
    r"|mfu|\w*FLOPS\w*|sm_count|compute_capability|USE_\w+|LOCAL_RANK|torch_dtype|compute_dtype|amp_dtype|has_\w*gpu|dynamo|inductor)$"
)


HARDWARE: Final = late(r"'[^']*(rtx|gtx|h100|a100|b200|cuda|mps|xpu|rocm|nvidia)[^']*'", re.I)


def guards_reports(statement: Statement) -> bool:
    """Tell whether a statement only decides when something is printed."""
    body = getattr(statement.node, "body", None)
    return (
        isinstance(statement.node, ast.If)
        and bool(body)
        and all(
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and callee(node.value) in REPORTS - {"exit"}
            for node in body or ()
        )
    )


def runs_layers_again(statement: Statement, roles: Roles) -> bool:
    """Tell whether a statement is there twice in a pass and calls what runs layers."""
    if not RUNS.search(statement.text):
        return False
    body = roles.program.by_scope[statement.scope]
    return sum(other.text == statement.text for other in body) > 1


RUNS: Final = late(r"=self\.\w*(?:layers|blocks|trunk|stack)\w*\(")
