"""What scores a run, beside the data and the target: another evaluation gives other values.

The stage of dvc.yaml names it: its dependencies, and the files its command names. Their versions
are those of the experiment's own commit, so records of any age have a scorer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from posixpath import normpath
from typing import Any

from flows.repository import Repository

FALLBACK_STAGE = "train"
RESULTS = "exp/"  # what runs write: it differs from experiment to experiment


def scorer_of(repository: Repository, commit: str, task: str, target: str) -> str | None:
    """Return a hash of what scores a run; None where the pipeline names nothing but the target.

    What is not in the commit is data, and the manifest has its hash.
    """
    pipeline = repository.read(commit, "dvc.yaml")
    lines: list[str] = []
    for name in () if pipeline is None else named(pipeline, task):
        found = repository.hashes(commit, name, without=target)
        lines += [f"{path} {sha}\n" for path, sha in found if not path.startswith(RESULTS)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16] if lines else None


@lru_cache(64)
def named(pipeline: bytes, task: str) -> tuple[str, ...]:
    """Return what a stage depends on and the words of its command, sorted; () if unreadable."""
    import yaml  # 10 ms, and most commands read no pipeline

    try:
        stages = yaml.safe_load(pipeline)["stages"]
        stage = stages.get(task) or stages[FALLBACK_STAGE]
        outs, deps = (set(names(stage.get(key) or ())) for key in ("outs", "deps"))
        words = {word for word in words_of(str(stage.get("cmd", ""))) if "." in word}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(sorted((deps | set(map(normpath, words))) - outs))


def names(items: Iterable[Any]) -> list[str]:
    """Return the names in a list of dvc.yaml, each a name or a mapping of names."""
    found = [name for item in items for name in ([item] if isinstance(item, str) else item)]
    return [normpath(str(name)) for name in found]


def words_of(command: str) -> set[str]:
    """Return the words of a command, those of a quoted command in it among them.

    >>> sorted(words_of("python -m stage --command 'python eval/measure.py'"))
    ['--command', '-m', 'eval/measure.py', 'python', 'stage']
    """
    return set(command.replace("'", " ").replace('"', " ").split())
