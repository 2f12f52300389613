"""The command line: it parses, calls and prints; stdout is data, stderr is for people.

Nothing heavy is imported here: `nightlab --help` must not load torch, Prefect, DVC or spaCy, so
every command names its function as text and it is imported when it is called.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

DONE, FAILED, MISUSED = 0, 1, 2  # exit codes; commands may define others above 2
READING = ("ask", "check", "recall")  # they leave nothing that must be tidied up

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 could not, 2 misused."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parsed(build_parser(asking=bool(words) and words[0] in READING), words)
    if not getattr(options, "call", None):
        options.help()
        return MISUSED
    try:
        call = loaded(options.call)
        if options.name not in READING or "logging" in sys.modules:  # 6 ms to import
            import logging

            logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
        return call(options)
    except BrokenPipeError:  # `nightlab log | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return complain(
            options, "interrupted; the attempt is recorded at the next start, nothing is lost"
        )
    except Exception as error:
        if is_ours(error):
            from flows.errors import sentence

            return complain(options, sentence(error))
        if os.environ.get("NIGHTLAB_DEBUG"):
            raise
        kind = type(error).__name__
        return complain(
            options,
            f"nightlab {options.name}: this is a bug: {kind}: {error}; "
            "run it again with NIGHTLAB_DEBUG=1 and report the traceback",
        )


def run() -> NoReturn:
    """Be the process of a command: it ends with main's exit code.

    A command that only reads ends at once: to free 100,000 objects one by one takes 11 ms, to
    look for cycles among them meanwhile 4.
    """
    reading = sys.argv[1:2] and sys.argv[1] in READING
    if reading:
        gc.disable()
    code = main()
    if reading:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; `ask best --tag t limit=3` gives its arguments after options too.

    argparse takes a list of words in one piece only (bpo-14191).
    """
    options, late = parser.parse_known_args(arguments)
    more = [word for word in late if "=" in word and not word.startswith("-")]
    if late and (more != late or not hasattr(options, "arguments")):
        parser.error(f"unrecognized arguments: {' '.join(late)}")
    if late:
        options.arguments += late
    return options


def is_ours(error: Exception) -> bool:
    """Tell whether an error is a sentence for the user."""
    from flows.errors import FlowError
    from kg.errors import KgError
    from trainer.errors import TrainerError

    return isinstance(error, FlowError | KgError | TrainerError | OSError)


def complain(options: argparse.Namespace, sentence: str) -> int:
    """Say what went wrong, as text and, if asked for, as data."""
    sys.stdout.flush()
    print(f"error: {sentence}", file=sys.stderr)
    if getattr(options, "json", False):
        import json

        print(json.dumps({"error": sentence}))
    return FAILED


def loaded(path: str) -> Command:
    """Import a command's function with the garbage collector off, and leave what came alone.

    Modules live on: the collector walking 100,000 of their objects is a tenth of a short command.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        return command(path)
    finally:
        gc.freeze()
        if running:
            gc.enable()


def command(path: str) -> Command:
    """Import the function a command names, `module:function`."""
    module, _, name = path.partition(":")
    function: Command = getattr(importlib.import_module(module), name)
    return function


def build_parser(*, asking: bool = False) -> argparse.ArgumentParser:
    """Describe every command; for who is ``asking``, in 2 ms and not 10, those that only read."""
    from flows import cli_campaign, cli_memory

    parser = argparse.ArgumentParser(
        prog="nightlab",
        description="Overnight autonomous training research with a memory.",
        epilog="Start with: nightlab start TAG. Every command takes --help and --json.",
    )
    parser.add_argument("--version", action=Version, help="print the version")
    commands: Any = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="name", prog="nightlab"
    )
    parser.set_defaults(help=parser.print_help)
    if asking:
        cli_memory.describe_asking(commands)
        return parser
    cli_campaign.describe(commands)
    cli_memory.describe(commands)
    shell = commands.add_parser("completion", help="print the completion script of a shell")
    shell.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    shell.set_defaults(call="flows.cli:completion")
    return parser


class Version(argparse.Action):
    """Print the version and exit; reading it takes as long as all the rest of the parser."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it."""
        from importlib.metadata import version

        print(f"nightlab {version('nightlab')}")
        parser.exit()


def completion(options: argparse.Namespace) -> int:
    """Print a completion script, to be sourced by the shell."""
    import shtab

    print(shtab.complete(build_parser(), options.shell))
    return DONE


if __name__ == "__main__":
    run()
