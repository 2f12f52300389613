"""`nightlab init`: what another repository needs so that a campaign can start in it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from posixpath import normpath

import yaml

from flows.config_check import parse_config
from flows.errors import FlowError
from flows.output import emit, out
from flows.repository import Repository
from flows.scorer import words_of
from flows.tracking import OUTPUTS


def init(options: argparse.Namespace) -> int:
    """Write the missing files of a repository; none that exists is touched.

    Raises:
        FlowError: The target is no file of the repository.
        ConfigError: What was asked for makes no valid nightlab.toml.
    """
    repository = Repository(Path.cwd())
    root = repository.root
    if not (root / options.target).is_file():
        raise FlowError(f"{options.target}: is not a file of {root}; give --target PATH")
    command = options.command or f"python {options.target}"
    named = sorted(set(map(normpath, words_of(command))))
    scorers = [n for n in named if repository.read(repository.head(), n) is not None]
    deps = list(dict.fromkeys([options.target, *scorers]))
    wanted = files(options.target, command, deps, options)
    written = [name for name in wanted if not (root / name).exists()]
    for name in written:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(wanted[name], encoding="utf-8")
    if options.json:
        emit({"written": written, "kept": [name for name in wanted if name not in written]})
        return 0
    for name in wanted:
        out().print(f"{'written' if name in written else 'kept   '} {name}")
    out().print("next: git add -f " + " ".join(written) + " && git commit, then nightlab start TAG")
    return 0


def files(
    target: str, command: str, deps: list[str], options: argparse.Namespace
) -> dict[str, str]:
    """Return the files a repository needs, by name."""
    quoted = {key: json.dumps(value) for key, value in (("t", target), ("c", command))}
    config = (
        f"[tasks.train]\ntarget = {quoted['t']}\ncommand = {quoted['c']}\n"
        f"metric = {json.dumps(options.metric)}\ndirection = {json.dumps(options.direction)}\n\n"
        f"[profiles.cpu]\nlimit_seconds = {options.limit:g}\n"
    )
    parse_config(config)
    run = f"python -m trainer.stage --target {target} --command {quoted['c']} "
    run += f"--metric {options.metric} --limit-seconds {options.limit:g}"
    cached: list[str | dict[str, dict[str, bool]]] = list(OUTPUTS[:2])
    outs = [*cached, *({name: {"cache": False}} for name in OUTPUTS[2:])]
    pipeline = {
        "params": ["exp/params.json"],
        "metrics": ["exp/metrics.json"],
        "plots": [{"exp/loss.csv": {"x": "step", "y": "loss"}}],
        "stages": {"train": {"cmd": run, "deps": deps, "outs": outs}},
    }
    return {
        "nightlab.toml": config,
        "dvc.yaml": yaml.safe_dump(pipeline, sort_keys=False),
        ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "exp/.gitignore": "/loss.csv\n/artifacts\n",
    }
