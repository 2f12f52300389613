"""DVC: the outputs of a run into the cache, its row into `dvc exp show`.

`dvc exp save` from several work trees at once files experiments under other agents' baselines
(36 saves, 23 errors), so the run's directory is a DVC repository of its own, without git, that
shares the user's cache; the commit is made by flows/repository.py. One save is about 20 ms.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml

from flows.errors import FlowError, TrackingError
from flows.repository import Repository
from flows.scorer import FALLBACK_STAGE

OUTPUTS = ("exp/artifacts", "exp/loss.csv", "exp/metrics.json", "exp/params.json")


def save_outputs(directory: Path, root: Path, stage_name: str) -> bytes:
    """Put a run's outputs into the cache of the user's checkout.

    Args:
        directory: The run's own directory, with dvc.yaml, the dependencies and all outputs.
        root: The user's checkout, whose `.dvc/cache` is shared.
        stage_name: Stage of dvc.yaml that describes the run.

    Returns:
        The dvc.lock that names what was saved.

    Raises:
        TrackingError: dvc.yaml has no such stage, or an output is missing.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    quiet()
    local_settings(directory, root)
    try:
        with Repo(str(directory)) as repo:
            stage = load_stage(repo, directory, stage_name)
            stage.save(run_cache=False)  # the run cache would ask for the working directory
            with repo.lock:
                stage.commit(relink=False)
                stage.dump(update_pipeline=False)
    except DvcException as error:
        raise TrackingError(directory, str(error)) from error
    return (directory / "dvc.lock").read_bytes()


def check_pipeline(repository: Repository, commit: str, task: str) -> None:
    """Make sure that DVC will be able to save a run, before one is spent.

    Raises:
        FlowError: The commit lacks the pipeline, the stage or one of its outputs.
    """
    text, config = (repository.read(commit, name) for name in ("dvc.yaml", ".dvc/config"))
    if text is None or config is None:
        missing = "dvc.yaml" if text is None else ".dvc/config"
        raise FlowError(f"{missing}: is not in commit {commit[:7]}; run `nightlab init`, commit")
    try:
        stages = yaml.safe_load(text)["stages"]
        stage = stages.get(task) or stages[FALLBACK_STAGE]
        found = [
            name for item in stage["outs"] for name in ([item] if isinstance(item, str) else item)
        ]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise FlowError(
            f"dvc.yaml: has no stage {task!r} or {FALLBACK_STAGE!r} with outs; "
            "`nightlab init` in an empty directory shows one"
        ) from None
    lacking = [name for name in OUTPUTS if name not in found]
    if lacking:
        raise FlowError(f"dvc.yaml: the outs of its stage lack {', '.join(lacking)}; add them")


def check_dependencies(directory: Path, root: Path, stage_name: str) -> None:
    """Make sure that what a run depends on is there, before one is spent.

    Asked of DVC, which knows the templates of dvc.yaml. What the stage writes itself and the
    parameters are left out: they come to be in the run.

    Raises:
        TrackingError: dvc.yaml cannot be read.
        FlowError: A dependency is missing.
    """
    from dvc.dependency import ParamsDependency
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    quiet()
    local_settings(directory, root)
    try:
        with Repo(str(directory)) as repo:
            stage = load_stage(repo, directory, stage_name)
            written = {out.def_path for out in stage.outs}
            needed = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            missing = [d.def_path for d in needed if d.def_path not in written and not d.exists]
    except DvcException as error:
        raise TrackingError(directory, str(error)) from error
    if missing:
        raise FlowError(
            f"dvc.yaml: {', '.join(missing)}: a dependency of the run is not there; commit it,"
            " or correct the deps and commit dvc.yaml"
        )


def load_stage(repo: Any, directory: Path, name: str) -> Any:
    """Return a stage by name, else the fallback that `check_pipeline` accepts too."""
    path = str(directory / "dvc.yaml")
    from dvc.stage.exceptions import StageNotFound

    try:
        return repo.stage.load_one(path, name)
    except StageNotFound:
        return repo.stage.load_one(path, FALLBACK_STAGE)


def local_settings(directory: Path, root: Path) -> None:
    """Make a directory a DVC repository without git that uses the checkout's cache."""
    cache, site = root / ".dvc" / "cache", directory.parent / "dvc"
    (directory / ".dvc").mkdir(exist_ok=True)
    (directory / ".dvc" / "config.local").write_text(
        f"[core]\n    no_scm = true\n    analytics = false\n    site_cache_dir = {site}\n"
        f"[cache]\n    dir = {cache}\n",
        encoding="utf-8",
    )


def warm(root: Path, commit: str) -> None:
    """Put one experiment into the cache of `dvc exp show`, as a user's first call would.

    Only `show` fills that cache, 29 ms of CPU a row: 1000 cold rows take about two minutes.

    Raises:
        TrackingError: DVC cannot read the experiment.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.experiments.collect import collect_rev

    quiet()
    try:
        with Repo(str(root)) as repo:
            collect_rev(repo, commit)
    except DvcException as error:
        raise TrackingError(root, str(error)) from error


def quiet() -> None:
    """Keep DVC's progress lines (`Generating lock file`) off the user's terminal."""
    logging.getLogger("dvc").setLevel(logging.ERROR)
