"""A foreign git repository, read by plumbing alone: no hook, filter, network or write.

Whole histories are read in bulk: 3,054 `commit:path` look-ups take 0.04 s in one
`git cat-file --batch-check` and would take 15 s as one process each.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.errors import RepositoryError

MAX_BYTES = 16 * 2**20  # a larger file is no train.py; 10 MB ones have been seen
# safe.directory: reading a repository of another user is the purpose here; protocol.allow: a
# partial clone would fetch what it lacks, which both writes into it and uses the network
OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "safe.directory": "*",
    "protocol.allow": "never",
}
QUIET = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LINKS = (b"symlink", b"dangling", b"loop", b"notdir")  # answers of --follow-symlinks


@dataclass(frozen=True, slots=True)
class Found:
    """One object as `git cat-file --batch-check` describes it."""

    sha: str
    kind: str  # blob, tree, commit or tag
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit object says of itself."""

    author: str
    time: str | None  # of the author, UTC, ISO 8601 with Z
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.split("\n", 1)[0].strip()


class Objects:
    """The objects of one repository; close it or use it in a `with` statement."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        ours = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        self.env = ours | QUIET
        settings = [part for key, value in OPTIONS.items() for part in ("-c", f"{key}={value}")]
        self.command = ["git", *settings, f"--git-dir={git_dir}"]
        self.reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the `git cat-file` process."""
        if self.reader is not None:
            self.reader.communicate()
            self.reader = None

    def git(self, *arguments: str, given: str = "") -> str:
        """Run one reading command; its output.

        Raises:
            RepositoryError: git failed, or is not installed.
        """
        return self.bulk(given, *arguments).decode("utf-8", "replace")

    def bulk(self, given: str, *arguments: str) -> bytes:
        """Run one command with lines on its standard input.

        Raises:
            RepositoryError: git failed, or is not installed.
        """
        try:
            done = subprocess.run(
                [*self.command, *arguments],
                input=given.encode("utf-8", "surrogateescape"),
                capture_output=True,
                env=self.env,
            )
        except FileNotFoundError:
            raise RepositoryError("git: is not installed; install git 2.30 or newer") from None
        if done.returncode:
            raise RepositoryError(
                f"{self.git_dir}: {last_line(done.stderr)}; check it with git fsck"
            )
        return done.stdout

    def find(self, names: Sequence[str]) -> list[Found | None]:
        """Look many names up at once, `<commit>:<path>` among them; None where there is none.

        Symbolic links are followed inside the repository.
        """
        asked = [i for i, name in enumerate(names) if "\n" not in name and name.strip() == name]
        given = "".join(f"{names[i]}\n" for i in asked)
        output = self.bulk(given, "cat-file", "--batch-check", "--follow-symlinks", "--buffer")
        found: list[Found | None] = [None] * len(names)
        for i, answer in zip(asked, answers(output), strict=True):
            found[i] = answer
        return found

    def read(self, sha: str, most: int = MAX_BYTES) -> bytes | None:
        """Return the bytes of an object; None if it is missing or larger than `most`.

        Raises:
            RepositoryError: git ended before its answer, as it does on a damaged object.
        """
        if self.reader is None:
            self.reader = subprocess.Popen(
                [*self.command, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.env,
            )
        stdin, stdout = self.reader.stdin, self.reader.stdout
        if stdin is None or stdout is None or not WHOLE.fullmatch(sha):
            return None
        try:
            stdin.write(sha.encode() + b"\n")
            stdin.flush()
            head = stdout.readline().split()
        except BrokenPipeError:
            head = []
        if not head:
            raise RepositoryError(
                f"{self.git_dir}: object {sha} is damaged; check it with git fsck"
            )
        if len(head) != 3:
            return None
        data = stdout.read(int(head[2]) + 1)[:-1]
        return data if len(data) <= most else None

    def commit(self, sha: str) -> Commit:
        """Return author, time and message of a commit."""
        head, _, body = (self.read(sha) or b"").partition(b"\n\n")
        fields = dict(line.partition(b" ")[::2] for line in reversed(head.split(b"\n")))
        coding = fields.get(b"encoding", b"utf-8").decode("ascii", "replace")
        name, time = signature(fields.get(b"author", b""), coding)
        return Commit(name, time, decode(body, coding).strip())

    def parents(self, tips: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return every commit that can be reached, with its parents (none below a shallow cut)."""
        given = "".join(f"{tip}\n" for tip in tips)
        if not given:
            return {}
        lines = self.git("rev-list", "--parents", "--stdin", given=given).split("\n")
        rows = (line.split() for line in lines if line)
        return {row[0]: tuple(row[1:]) for row in rows}

    def text(self, sha: str) -> str | None:
        """Return a file's text; odd bytes survive as escapes, None where it is too large."""
        data = self.read(sha)
        return None if data is None else data.decode("utf-8", "backslashreplace").lstrip("\ufeff")


def answers(output: bytes) -> Iterator[Found | None]:
    """Read the output of `git cat-file --batch-check --follow-symlinks`."""
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        words = output[at:end].split(b" ")
        at = end + 1
        if words[0] in LINKS and len(words) == 2 and words[1].isdigit():
            at += int(words[1]) + 1  # where the link points to, and a newline
            yield None
        elif len(words) == 3 and words[2].isdigit() and WHOLE.fullmatch(words[0].decode()):
            yield Found(words[0].decode(), words[1].decode(), int(words[2]))
        else:  # `<name> missing`, `<name> ambiguous`
            yield None


def signature(line: bytes, coding: str) -> tuple[str, str | None]:
    """Return name and time of an author line, `A U Thor <mail> 1772000000 +0100`."""
    who, _, when = line.rpartition(b">")
    name = decode(who.partition(b"<")[0], coding).strip()
    seconds = when.split()
    try:
        moment = datetime.fromtimestamp(int(seconds[0]), UTC)
    except (IndexError, ValueError, OverflowError, OSError):
        return name, None
    return name, moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def decode(data: bytes, coding: str) -> str:
    """Decode a message in the encoding it names, or as UTF-8 where that is none."""
    try:
        return data.decode(coding, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def last_line(output: bytes) -> str:
    """Return the last line of what git complained about, without its prefix."""
    lines = output.decode("utf-8", "replace").strip().splitlines() or ["git failed"]
    return lines[-1].removeprefix("fatal: ")
