"""Commands that run experiments: start, try, run, log, plot, serve."""

from __future__ import annotations

import argparse
from typing import Any

PROFILES = "cpu, smoke, mps or h100"


def describe(commands: Any) -> None:
    """Add the commands to a parser; nothing heavy may be imported here."""
    init = add(commands, "init", "adopt:init", "write what a repository needs for a campaign")
    init.add_argument("--target", default="train.py", help="the one file the agent edits")
    init.add_argument("--command", help="what measures it (default: python TARGET)")
    init.add_argument("--metric", default="val_bpb", help="key of the line `key: number` it prints")
    init.add_argument("--direction", choices=["minimise", "maximise"], default="minimise")
    init.add_argument("--limit", type=float, default=600.0, metavar="SECONDS")
    start = add(commands, "start", "commands:start", "start a campaign and run its baseline")
    start.add_argument("tag", help="campaign autoresearch/TAG")
    wishes(start)
    attempt = add(commands, "try", "commands:attempt", "run the edit in the work directory")
    attempt.add_argument("--tag", help="campaign (default: this directory's, else the last one)")
    attempt.add_argument("-m", "--message", required=True, help="what the edit does")
    attempt.add_argument("--hypothesis", help="why it should help")
    attempt.add_argument(
        "--expect", type=float, metavar="DELTA", help="expected change of the metric"
    )
    attempt.add_argument("--agent", default="agent", help="who proposes it")
    attempt.add_argument(
        "--force", action="store_true", help="run it although check advises not to"
    )
    attempt.add_argument("--because", metavar="WHY", help="the reason for --force, recorded")
    describe_batch(commands)
    describe_views(commands)


def describe_batch(commands: Any) -> None:
    """Add what runs many experiments, with or without a server."""
    run = add(commands, "run", "commands:run", "run a batch of experiments by a researcher")
    run.add_argument("tag", help="campaign autoresearch/TAG, started if it is new")
    run.add_argument("-n", "--experiments", type=positive, default=None, metavar="N")
    run.add_argument("--hours", type=float, help="stop after so many hours")
    run.add_argument("--agent", default=None, help="who proposes (default: nightlab.toml)")
    run.add_argument("--seed", type=int, default=0, help="of the built-in researcher")
    run.add_argument("--no-prefect", action="store_true", help="without a Prefect server")
    wishes(run)
    serve = add(commands, "serve", "commands:serve", "serve Prefect, its UI and two deployments")
    serve.add_argument("--port", type=positive, help="default: nightlab.toml")
    add(commands, "demo", "demo:demo", "run a short campaign and show what it learned")


def describe_views(commands: Any) -> None:
    """Add what shows and measures a campaign."""
    log = add(commands, "log", "commands:log", "list the experiments")
    log.add_argument("tag", nargs="?", help="campaign (default: all)")
    log.add_argument("--tag", dest="tag_option", help=argparse.SUPPRESS)
    plot = add(commands, "plot", "commands:plot", "draw a campaign's progress as a PNG")
    plot.add_argument("tag", nargs="?", help="campaign (default: the last one)")
    noise = add(commands, "noise", "measure:noise_command", "measure the noise floor of a campaign")
    noise.add_argument("tag", nargs="?", help="campaign (default: the last one)")
    noise.add_argument("--seeds", type=positive, default=3, metavar="K", help="runs in all")


def add(commands: Any, name: str, call: str, text: str) -> argparse.ArgumentParser:
    """Add one command with `--json`."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(call=f"flows.{call}")
    return parser


def wishes(parser: argparse.ArgumentParser) -> None:
    """Add what may be chosen when a campaign starts."""
    parser.add_argument("--profile", help=f"{PROFILES} (default: params.yaml)")
    parser.add_argument("--task", help="a task of nightlab.toml")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="training clock of a run")


def positive(text: str) -> int:
    """Read a number of at least 1.

    Raises:
        ArgumentTypeError: It is less.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
