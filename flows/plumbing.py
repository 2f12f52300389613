"""git's plumbing: one command, or a `git cat-file --batch` that stays open.

GitPython is imported where objects are written or walked. To ask for a commit or a file it would
take longer to import (35 ms, two processes of git among it) than all of an answer of the memory.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flows.errors import RepositoryError

WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Found:
    """One object as `git cat-file --batch-check` describes it."""

    sha: str
    kind: str  # blob, tree, commit or tag
    size: int  # bytes


class CatFile:
    """A `git cat-file --batch` of one repository, started on first use.

    An object takes 0.1 ms and not the 3 ms of a process. The process ends with this object.
    """

    def __init__(self, command: Sequence[str], place: Path, env: Mapping[str, str]) -> None:
        """Keep the words before `cat-file`, the directory and the environment it is run in."""
        self.command, self.place, self.env = command, place, env
        self.process: subprocess.Popen[bytes] | None = None
        self.turn = threading.Lock()  # an answer must be read by who asked

    def get(self, name: str) -> tuple[Found, bytes] | None:
        """Return an object and its bytes; None where no object has this name.

        A process that has ended is begun anew once: a Ctrl-C in its terminal ends it too.

        Raises:
            RepositoryError: git ended before its answer, as it does on a damaged object.
        """
        if "\n" in name:
            return None
        with self.turn:
            answer = self.asked(name) or self.asked(name)
        if answer is None:
            raise RepositoryError(
                f"{self.place}: object {name} is damaged or git failed; check it with git fsck"
            )
        found, data = answer
        return None if found is None else (found, data)

    def asked(self, name: str) -> tuple[Found | None, bytes] | None:
        """Ask the process; None where it ended before the whole answer, None in it for no object.

        Whatever interrupts ends the process: the rest would be read as the next answer, which
        gave 455 wrong objects after 1,005 interrupts.
        """
        try:
            stdin, stdout = self.started()
            with contextlib.suppress(BrokenPipeError):
                stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
                stdin.flush()
            head = stdout.readline()
            found = described(head)
            data = b"" if found is None else stdout.read(found.size + 1)[:-1]
        except BaseException:
            self.close()
            raise
        if head and (found is None or len(data) == found.size):
            return found, data
        self.close()
        return None

    def started(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return the pipes of the process."""
        if self.process is None:
            self.process = begin([*self.command, "cat-file", "--batch"], self.place, self.env)
            weakref.finalize(self, end, self.process)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None  # both are pipes
        assert stdout is not None
        return stdin, stdout

    def close(self) -> None:
        """End the process; the next question starts another one."""
        process, self.process = self.process, None
        if process is not None:
            end(process)


def begin(command: Sequence[str], place: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start git with pipes.

    Raises:
        RepositoryError: It is not installed.
    """
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with installed():
        return subprocess.Popen(command, cwd=place, env=env, stdin=pipe, stdout=pipe, stderr=silent)


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes of a process that ends with them, and wait for that."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            assert pipe is not None
            pipe.close()
    process.wait()


def run(
    command: Sequence[str], place: Path, env: Mapping[str, str], given: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run one command of git with some words on its standard input.

    Raises:
        RepositoryError: git is not installed.
    """
    words = given.encode("utf-8", "surrogateescape")
    with installed():
        return subprocess.run(command, cwd=place, env=env, input=words, capture_output=True)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Say in one sentence that there is no git.

    Raises:
        RepositoryError: There is none.
    """
    try:
        yield
    except FileNotFoundError as error:
        if error.filename != "git":  # the directory it was to be run in
            raise
        raise RepositoryError("git: is not installed; install git 2.30 or newer") from None


def described(line: bytes) -> Found | None:
    """Read `<hash> <kind> <size>`; None for `<name> missing` and the like."""
    words = line.rstrip(b"\n").split(b" ")
    if len(words) != 3 or not words[2].isdigit() or not WHOLE.fullmatch(words[0].decode("latin-1")):
        return None
    return Found(words[0].decode(), words[1].decode(), int(words[2]))


def last_line(output: bytes) -> str:
    """Return the last line of what git complained about, without its prefix."""
    lines = output.decode("utf-8", "replace").strip().splitlines() or ["git failed"]
    return lines[-1].removeprefix("fatal: ")
