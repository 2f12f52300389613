"""A foreign git repository, read by plumbing alone: no hook, filter, network or write.

Whole histories are read in bulk: 3,054 `commit:path` look-ups take 0.04 s in one
`git cat-file --batch-check` and would take 15 s as one process each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.errors import RepositoryError
from flows.plumbing import WHOLE, CatFile, Found, described, last_line, run

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
LINKS = (b"symlink", b"dangling", b"loop", b"notdir")  # answers of --follow-symlinks


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
        self.command = ["git", *settings, f"--git-dir={git_dir.resolve()}"]
        self.files = CatFile(self.command, git_dir, self.env)

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
        self.files.close()

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
        done = run([*self.command, *arguments], self.git_dir, self.env, given)
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
        found = self.files.get(sha) if WHOLE.fullmatch(sha) else None
        return found[1] if found and found[0].size <= most else None

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
        line, at = output[at:end], end + 1
        words = line.split(b" ")
        if words[0] in LINKS and len(words) == 2 and words[1].isdigit():
            at += int(words[1]) + 1  # where the link points to, and a newline
            yield None
        else:
            yield described(line)


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
