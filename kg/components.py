"""The components knobs belong to, and the groups that components belong to.

The groups are those of ontology.ttl (`skos:broader`, held equal by a test), kept here too so
that a question needs one look-up a row and no parsing.
"""

from __future__ import annotations

from typing import Final

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "architecture": (
        *("attention", "mlp", "embedding", "head"),
        *("norm", "residual", "position", "model_size"),
    ),
    "training": (
        *("optimizer", "schedule", "regularization", "initialization"),
        *("batch", "loss", "data", "precision_compile"),
    ),
}
ALONE: Final = ("evaluation", "other")
COMPONENTS: Final = (*(name for members in GROUPS.values() for name in members), *ALONE)
GROUP_OF: Final = {name: group for group, members in GROUPS.items() for name in members}
