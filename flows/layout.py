"""A run's own directory: the files of a commit and links to what is not in git."""

from __future__ import annotations

import shutil
from pathlib import Path

from flows.lab import Campaign, Lab


def lay_out(lab: Lab, campaign: Campaign, commit: str, directory: Path) -> None:
    """Write a commit's files into a fresh directory and link the task's inputs into it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    lab.repository.export(commit, directory)
    for name in campaign.task.inputs:
        place, source = directory / name, lab.root / name
        if not place.exists() and source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source.resolve())
