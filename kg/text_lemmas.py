"""Lemmas: one form for each word a label or a message may write in several ways.

A table of some hundred words, the regular forms of the verbs, and one rule (a plural s); no
lemmatizer package. Labels and messages pass through the same table, so an odd form is
harmless as long as it is the same odd form on both sides.
"""

from __future__ import annotations

import re

from kg.text_words import (
    ADD,
    COMPARATIVES,
    DECREASE,
    DISABLE,
    ENABLE,
    INCREASE,
    NEUTRAL,
    REMOVE,
    REPLACE,
    RESTRUCTURE,
    REVERT,
)

IRREGULAR: dict[str, str] = {
    "attn": "attention", "emb": "embedding", "embd": "embedding", "embed": "embedding",
    "embeds": "embedding", "embedded": "embedding", "embs": "embedding",
    "embedder": "embedding", "normalization": "norm",
    "normalized": "norm", "normalize": "norm", "normalizing": "norm", "normed": "norm",
    "initialization": "init", "initialize": "init", "initialized": "init",
    "initializing": "init", "inits": "init", "opt": "optimizer", "optim": "optimizer",
    "orthogonalize": "orthogonalization", "orthogonalizing": "orthogonalization",
    "orthogonalized": "orthogonalization", "deps": "dependency", "stochastically": "randomly",
    "sched": "schedule", "dimension": "dim", "dims": "dim", "dimensional": "dim",
    "convolution": "conv", "convolutional": "conv", "grad": "gradient", "grads": "gradient",
    "accum": "accumulation", "accumulate": "accumulation", "ckpt": "checkpoint",
    "temp": "temperature", "ctx": "context", "seq": "sequence", "len": "length",
    "frac": "fraction", "reg": "regularization",
    "resid": "residual", "positional": "position", "pos": "position", "proj": "projection",
    "projs": "projection", "params": "param", "parameter": "param", "parameters": "param",
    "val": "val", "mult": "multiplier", "coef": "coefficient", "coeff": "coefficient",
    "prob": "probability", "freq": "frequency", "swiglus": "swiglu", "ffw": "ffn",
    "mats": "matrix", "matrices": "matrix", "mat": "matrix", "scalars": "scalar",
    "biases": "bias", "losses": "loss", "axes": "axis", "axis": "axis", "ves": "ve",
    "activations": "activations", "act": "activation", "acts": "activation", "queries": "query",
    "keys": "key", "indices": "index", "frequencies": "frequency", "tied": "tie",
    "tying": "tie", "ties": "tie", "shared": "share", "sharing": "share", "fused": "fuse",
    "fusing": "fuse", "mixing": "mix", "mixed": "mix", "looped": "loop", "looping": "loop",
    "gated": "gate", "gating": "gate", "learned": "learn", "learnable": "learn",
    "trainable": "learn", "learnt": "learn", "constants": "constant", "capped": "cap",
    "capping": "cap", "clipped": "clip", "clips": "clip", "nonlinearity": "nonlinearity",
    "truncated": "truncate", "trunc": "truncate", "gaussian": "gaussian", "decayed": "decay",
    "decaying": "decay", "decays": "decay", "followed": "follow", "following": "follow",
    "follows": "follow", "pre": "pre", "warmups": "warmup", "warming": "warmup", "cut": "cut",
    "cutting": "cut", "cuts": "cut", "stepsize": "stepsize", "steps": "step",
    "halving": "halve", "halved": "halve", "halves": "halve", "dropped": "drop",
    "dropping": "drop", "trimmed": "trim", "trimming": "trim", "bumped": "bump",
    "swapped": "swap", "swapping": "swap", "stripped": "strip", "shrunk": "shrink",
    "shrinking": "shrink", "grew": "grow", "reverted": "revert", "reverting": "revert",
    "undid": "undo", "undone": "undo", "undoing": "undo", "resetting": "reset",
    "splitting": "split", "omitted": "omit", "tried": "try", "trying": "try", "tries": "try",
    "using": "use", "used": "use", "gpus": "gpu", "its": "its", "us": "us", "yes": "yes",
    "loss": "loss", "less": "less", "bias": "bias", "this": "this", "was": "was", "is": "is",
    "as": "as", "has": "has", "does": "does", "lagen": "lagen", "process": "process",
    "across": "across", "pass": "pass", "plus": "plus", "versus": "versus", "focus": "focus",
    "muons": "muon", "progress": "progress", "stateless": "stateless", "kvs": "kv",
    "sparse": "sparse", "synapses": "synapse", "series": "series", "bs": "bs", "ns": "ns",
    "lens": "length", "lrs": "lr", "wds": "wd",
    "verhogen": "verhoog", "verlagen": "verlaag", "verhoogd": "verhoog",
    "vergroten": "vergroot", "verkleinen": "verklein", "verdubbelen": "verdubbel",
    "halveren": "halveer", "verwijderen": "verwijder", "vervangen": "vervang", "toevoeg": "add",
    "blocks": "block", "wit": "with", "w": "w", "reenabled": "reenable", "lambdas": "lambda",
    "betas": "betas", "dropouts": "dropout", "opposed": "opposed", "deeper": "deeper",
    "layernorms": "layernorm", "modulated": "modulate", "modulating": "modulate",
    "modulation": "modulate", "pruned": "prune", "pruning": "prune", "averaging": "average",
    "averaged": "average", "scaled": "scale", "scaling": "scale", "smoothed": "smooth",
    "smoothing": "smooth", "checkpointing": "checkpoint", "saving": "save", "saved": "save",
    "logged": "log", "logging": "logging", "excluded": "exclude", "excluding": "exclude",
    "exclusion": "exclude", "recomputation": "recompute", "recomputing": "recompute",
    "skipping": "skip", "skipped": "skip", "sharpen": "sharp", "sharper": "sharp",
    "sharpness": "sharp", "sized": "size", "sizes": "size", "sizing": "size",
    "reduction": "reduce", "removal": "remove", "deletion": "delete", "addition": "add",
    "elimination": "eliminate", "replacement": "replace", "introduction": "introduce",
    "sparsify": "sparse", "untied": "untie", "untying": "untie", "initializer": "init",
}  # fmt: skip
"""Short and long forms of one word, and inflections no rule gets right."""

KEEP_S = ("ss", "us", "is", "as", "os", "ous")
"""Endings whose s is not a plural."""


def inflections(verb: str) -> dict[str, str]:
    """Return the regular forms of a verb: increases, increased, increasing -> increase."""
    stem = verb[:-1] if verb.endswith("e") else verb
    past = stem + "ed"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        past = verb[:-1] + "ied"
    return {past: verb, stem + "ing": verb}


def verb_forms() -> dict[str, str]:
    """Return every inflected form of the verbs of this module."""
    verbs = INCREASE | DECREASE | ADD | REMOVE | ENABLE | DISABLE | REPLACE | REVERT | NEUTRAL
    plain = (verb for verb in verbs | RESTRUCTURE if verb.isalpha() and verb not in COMPARATIVES)
    skip = {"no", "new", "up", "down", "geen", "without", "zonder", "terug", "meer"}
    forms: dict[str, str] = {}
    for verb in sorted(set(plain) - skip):
        forms |= inflections(verb)
    return forms


LEMMAS = verb_forms() | IRREGULAR
BRITISH = re.compile(r"(\w+(?:al|ant|ar|en|et|ic|il|im|om|or|tr))is(e[drs]?|ing|ations?)")
"""Words that American English writes with a z: regularise, optimiser, tokenisation."""


def lemma_of(word: str) -> str:
    """Return the form of a lower-case word that the lexicon and the rules know.

    >>> lemma_of("increased"), lemma_of("layers"), lemma_of("bias"), lemma_of("attn")
    ('increase', 'layer', 'bias', 'attention')
    """
    british = BRITISH.fullmatch(word)
    if british:
        word = f"{british[1]}iz{british[2]}"
    known = LEMMAS.get(word)
    if known is not None:
        return known
    if len(word) > 3 and word.endswith("s") and not word.endswith(KEEP_S):
        stem = word[:-1]
        if word.endswith("ies"):
            stem = word[:-3] + "y"
        elif word.endswith(("ches", "shes", "xes")):
            stem = word[:-2]
        return LEMMAS.get(stem, stem)
    return word


WINDOWS = re.compile(r"[SLM]{2,}")
NOT_WINDOWS = frozenset({"ML", "LM", "LLM", "SLM", "MS", "MM", "MMM", "SMS", "MLM", "SSM"})


def is_window(written: str) -> bool:
    """Tell whether a word is a window pattern such as SSSL."""
    return bool(WINDOWS.fullmatch(written)) and written not in NOT_WINDOWS


SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹−–—×≈∼“”‘’`", "0123456789---x~~\"\"'''")
"""One character for one character: offsets stay true. Superscripts get their ^ below."""
LISTED = re.compile(r"(?<=\b[QKVqkv]),(?=\s?[QKVqkv]\b)")
"""The comma of "Q,K": one name, no list of two changes."""
PLUS_MINUS = re.compile(r"\+/?-(?=\d)|±")


def simplified(text: str) -> str:
    """Write signs in one way, character for character, so that offsets stay true."""
    joined = LISTED.sub("/", text.translate(SUPERSCRIPTS))
    return PLUS_MINUS.sub(lambda match: " " * len(match[0]), joined)


def apart(text: str, position: int) -> bool:
    """Tell whether a square bracket holds a remark ("... [re-run 1.02]"), not an index."""
    opened = text.rfind("[", 0, position + 1)
    return opened > 0 and text[opened - 1].isspace()
