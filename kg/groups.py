"""Which parameter group an optimizer hyper-parameter governs, by its canonical name."""

from __future__ import annotations

# Whose step the knob governs: two knobs of one parameter group answer for each other.
GROUPS = {
    "unembedding": "lm_head",
    "wte": "embedding",
    "muon": "matrix",
    "value_embeddings": "value_embeds",
}
PER_GROUP = ("optimizer", "regularization")


def group_of(knob: str) -> str | None:
    """Return the parameter group whose update a knob governs, None for all other knobs.

    >>> group_of("optimizer.embedding_lr"), group_of("regularization.weight_decay.embedding")
    ('embedding', 'embedding')
    >>> group_of("optimizer.unembedding_lr"), group_of("model.depth")
    ('lm_head', None)
    """
    head, *rest = knob.split(".")
    if head not in PER_GROUP or not rest:
        return None
    last = rest[-1]
    if rest[0] == "weight_decay" and len(rest) > 1:
        return GROUPS.get(last, last)
    for ending in ("_lr", "_beta1", "_beta2", "_momentum", "_eps"):
        if last.endswith(ending):
            stem = last.removesuffix(ending)
            return GROUPS.get(stem, stem)
    return None
