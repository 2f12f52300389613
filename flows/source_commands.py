"""The commands that read sources and texts without a memory: kg changes, config, resolve."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import FlowError
from flows.output import emit, notes, out

if TYPE_CHECKING:
    from kg.settings import Setting


def changes(options: argparse.Namespace) -> int:
    """`nightlab kg changes`: one JSON line a commit.

    Raises:
        FlowError: No revision is given, or nightlab.toml is wrong.
    """
    from flows.history import revision_changes

    if options.revs:
        revisions: list[str] = Path(options.revs).read_text(encoding="utf-8").split()
    elif options.revision:
        revisions = [options.revision]
    else:
        raise FlowError("kg changes: no revision given; give REV, A..B or --revs FILE")
    failed, repo = 0, Path(options.repo)
    for line in revision_changes(repo, revisions, options.target or target_of(repo)):
        if "error" in line:
            failed = 1
            notes().print(f"error: {line['error']}")
        else:
            emit(line)
    return failed


def target_of(repo: Path) -> str:
    """Return the target of a repository by its nightlab.toml, train.py where it has none.

    Raises:
        ConfigError: Its nightlab.toml is wrong.
    """
    if not (repo / "nightlab.toml").is_file():
        return "train.py"
    from flows.config import load_config

    found = load_config(repo)
    return found.tasks[found.task].target


def config(options: argparse.Namespace) -> int:
    """`nightlab kg config`: the effective configuration of a file, here or at a revision."""
    from kg.config import configuration

    found = configuration(read_source(options.file))
    settings = sorted(found.settings.items())
    if options.json:
        told = {name: setting_json(setting) for name, setting in settings}
        emit({"file": options.file, "parsed": found.parsed, "settings": told})
        return 0
    for name, setting in settings:
        out().print(f"{name} = {setting.value}    # {setting.path}")
    return 0


def setting_json(setting: Setting) -> dict[str, Any]:
    """Return what a setting is and where it stands; `folded` is null where it takes a run."""
    from kg.fold import UNFOLDABLE

    return {
        "component": setting.component,
        "value": setting.value,
        "folded": None if setting.folded is UNFOLDABLE else setting.folded,
        "optimizer_scope": setting.optimizer_scope.value,
        "effective": setting.effective,
        "overridden_at": setting.overridden_at,
        "path": setting.path,
        "span": setting.span,
    }


def read_source(name: str) -> str:
    """Read FILE or REV:FILE.

    Raises:
        FlowError: Neither exists.
    """
    if Path(name).is_file():
        return Path(name).read_text(encoding="utf-8", errors="backslashreplace")
    found = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "cat-file", "blob", name], capture_output=True
    )
    if found.returncode:
        raise FlowError(f"{name}: is neither a file nor REV:FILE of this repository; check both")
    return found.stdout.decode("utf-8", "backslashreplace")


def resolve(options: argparse.Namespace) -> int:
    """`nightlab kg resolve`: what texts claim, one JSON line each."""
    from kg.text import resolve_lines

    with contextlib.suppress(FlowError):  # a repository's own words count, as in `check -m`
        from flows.lab import open_lab

        open_lab()
    if options.message is not None:  # one text: the rules give the same without spaCy's start
        found = resolve_lines(
            [json.dumps({"id": "message", "text": options.message})], engine="light"
        )
    else:
        found = resolve_lines(lines_of(options.file))
    for line in found:
        sys.stdout.write(line if line.endswith("\n") else line + "\n")
    return 0


def lines_of(name: str) -> Iterator[str]:
    """Yield the lines of a file or of stdin.

    Raises:
        FlowError: There is no such file.
    """
    if name == "-":
        yield from sys.stdin
        return
    if not Path(name).exists():
        raise FlowError(
            f"{name}: is no file; give one of JSON lines, - for stdin, or the words with -m"
        )
    with Path(name).open(encoding="utf-8", errors="replace") as stream:
        yield from stream
