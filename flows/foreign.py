"""A repository that has never heard of nightlab: where it is and which campaigns it holds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.errors import RepositoryError
from flows.objects import Objects
from flows.plumbing import last_line

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:(?://|:)|[\w.-]+@[\w.-]+:", re.I)
SECRET = re.compile(r"(?<=://)[^/@\s]*@")
TRUNKS: tuple[str, ...] = ("refs/remotes/origin/HEAD", "refs/heads/master", "refs/heads/main")
TRUNKS += ("refs/remotes/origin/master", "refs/remotes/origin/main")
SHORT = re.compile(r"^refs/(?:heads/|remotes/[^/]+/|tags/|)|/head$")
PULL = re.compile(r"refs/pull/\d+/head")


@dataclass(frozen=True, slots=True)
class Branch:
    """One ref to be read as a campaign."""

    name: str  # of the campaign: `mar8`, `exp-H100-mar8`, `pull-109`
    ref: str
    tip: str
    also: tuple[str, ...] = ()  # other refs on the same commit


@dataclass(frozen=True, slots=True)
class Foreign:
    """An opened repository."""

    objects: Objects
    origin: str  # its address without secrets, or its directory's name
    worktree: Path | None  # where untracked tables may lie


@contextlib.contextmanager
def opened(source: str | Path) -> Iterator[Foreign]:
    """Open a work tree, a bare repository, a git directory or a URL (cloned for the while).

    Raises:
        RepositoryError: There is no repository, or it cannot be cloned.
    """
    text = str(source)
    if not Path(text).exists() and ADDRESS.match(text):
        with tempfile.TemporaryDirectory(prefix="nightlab-import-") as place:
            clone(text, Path(place))
            with Objects(Path(place)) as objects:
                yield Foreign(objects, SECRET.sub("", text), None)
        return
    path = Path(text)
    with Objects(git_dir(path)) as objects:
        inside = worktree(path)
        yield Foreign(objects, origin_of(objects, inside or path), inside)


def clone(url: str, place: Path) -> None:
    """Clone every ref of a URL into a bare repository without hooks.

    Raises:
        RepositoryError: It cannot be reached, or its protocol would run a command.
    """
    import git

    settings = {"GIT_TERMINAL_PROMPT": "0", "GIT_TEMPLATE_DIR": "", "GIT_CONFIG_COUNT": "1"}
    settings |= {"GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": os.devnull}
    try:
        git.Repo.clone_from(url, place, multi_options=["--mirror"], env=settings).close()
    except git.UnsafeProtocolError:
        raise RepositoryError(f"{url}: this protocol runs a command; give https or ssh") from None
    except git.GitCommandError as error:
        told = last_line(str(error.stderr).strip("\n '").encode())
        where = SECRET.sub("", url)
        raise RepositoryError(f"{where}: {SECRET.sub('', told)}; check the address") from None


def git_dir(path: Path) -> Path:
    """Return the git directory of a path: itself, its `.git`, or where its `.git` file points.

    Raises:
        RepositoryError: There is none.
    """
    if (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir():
        return path.resolve()
    inside = path / ".git"
    if inside.is_dir():
        return inside.resolve()
    if inside.is_file():  # a linked work tree or a submodule
        told = inside.read_text(encoding="utf-8", errors="replace").strip()
        pointed = path / told.removeprefix("gitdir:").strip()
        if told.startswith("gitdir:") and pointed.is_dir():
            return pointed.resolve()
    if not path.exists():
        raise RepositoryError(f"{path}: no such directory; give a repository's path or URL")
    raise RepositoryError(f"{path}: is no git repository; give its top directory or git directory")


def worktree(path: Path) -> Path | None:
    """Return the directory of the checked-out files, None for a bare repository."""
    path = path.resolve()
    if (path / ".git").exists():
        return path
    return path.parent if path.name == ".git" else None


def origin_of(objects: Objects, path: Path) -> str:
    """Return the address a repository was cloned from, else the name of its directory."""
    lines = objects.git("config", "--default", "", "--get", "remote.origin.url").split("\n")
    if ADDRESS.match(lines[0]):
        return SECRET.sub("", lines[0])
    return path.resolve().name.removesuffix(".git")


def refs(objects: Objects) -> dict[str, str]:
    """Return all refs with the commits they point to, tags peeled, others left out."""
    form = "--format=%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)"
    found: dict[str, str] = {}
    for line in objects.git("for-each-ref", form).split("\n"):
        words = line.split()
        for kind, sha in zip(words[1::2], words[2::2], strict=False):
            if kind == "commit":
                found[words[0]] = sha
    return found


def head(objects: Objects) -> tuple[str | None, str | None]:
    """Return the ref that is checked out (None if detached) and its commit (None if unborn)."""
    text = (objects.git_dir / "HEAD").read_text(encoding="utf-8", errors="replace").strip()
    ref = text.removeprefix("ref:").strip() if text.startswith("ref:") else None
    found = objects.find(["HEAD^{commit}"])[0]
    return ref, found.sha if found else None


def trunk(objects: Objects, known: dict[str, str]) -> str | None:
    """Return the ref of the line that campaigns fork from."""
    ref = next((name for name in TRUNKS if name in known), None)
    return ref or head(objects)[0]


def branches(objects: Objects, wanted: Sequence[str]) -> list[Branch]:
    """Return the refs to import, in the order in which they lay claim to shared commits.

    By default all branches, those of remotes, GitHub's pull requests and a detached HEAD.
    The trunk comes first, then branches, then the rest; refs on one commit are one campaign.

    Raises:
        RepositoryError: A wanted ref does not exist, or there is nothing to import.
    """
    known = refs(objects)
    main = trunk(objects, known)
    chosen = wanted_refs(objects, known, wanted) if wanted else default_refs(objects, known)
    kinds = ("refs/heads/", "refs/remotes/", "refs/pull/")

    def order(ref: str) -> tuple[bool, int, list[tuple[int, str]]]:
        kind = next((i for i, prefix in enumerate(kinds) if ref.startswith(prefix)), len(kinds))
        return ref != main, kind, natural(ref)

    on_commit: dict[str, list[str]] = {}
    for ref in sorted(chosen, key=order):
        on_commit.setdefault(chosen[ref], []).append(ref)
    if not on_commit:
        raise RepositoryError(f"{objects.git_dir}: no branch has a commit yet; nothing to import")
    names = campaign_names([first for first, *_ in on_commit.values()])
    return [
        Branch(names[first], first, tip, tuple(also)) for tip, (first, *also) in on_commit.items()
    ]


def default_refs(objects: Objects, known: dict[str, str]) -> dict[str, str]:
    """Return the refs that are imported when none is named."""
    chosen = {
        ref: tip
        for ref, tip in known.items()
        if ref.startswith(("refs/heads/", "refs/remotes/")) or PULL.fullmatch(ref)
    }
    ref, tip = head(objects)
    if ref is None and tip is not None:
        chosen["HEAD"] = tip
    return {ref: tip for ref, tip in chosen.items() if not ref.endswith("/HEAD")}


def wanted_refs(objects: Objects, known: dict[str, str], wanted: Sequence[str]) -> dict[str, str]:
    """Return the refs that were named, in full (`refs/pull/9/head`), in short or as a commit.

    Raises:
        RepositoryError: One of them does not exist.
    """
    chosen: dict[str, str] = {}
    for name in wanted:
        tries = [
            f"{p}{name}" for p in ("", "refs/heads/", "refs/remotes/origin/", "refs/", "refs/tags/")
        ]
        full = next((ref for ref in tries if ref in known), None)
        found = None if full else objects.find([f"{name}^{{commit}}"])[0]
        if full is None and found is None:
            raise RepositoryError(f"ref {name!r}: is not in {objects.git_dir}; see git branch -a")
        chosen[full or name] = known[full] if full else found.sha if found else ""
    return chosen


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key by which `pull/9` comes before `pull/10`."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def campaign_names(found: Sequence[str]) -> dict[str, str]:
    """Return a campaign's name for each ref, the same whichever other refs there are.

    >>> campaign_names(["refs/heads/autoresearch/mar8", "refs/pull/9/head"])
    {'refs/heads/autoresearch/mar8': 'mar8', 'refs/pull/9/head': 'pull-9'}
    """
    names: dict[str, str] = {}
    for ref in found:
        short = SHORT.sub("", ref).removeprefix("autoresearch/")
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", short).strip("-.") or "ref"
        if name in names.values():  # a/b and a-b
            name += "-" + hashlib.sha256(ref.encode()).hexdigest()[:6]
        names[ref] = name
    return names
