"""Check that README, program.md and docs say what is true; `--write` renews generated parts.

Commands shown must parse, links must lead somewhere, every key of nightlab.toml must be
described, the list of questions must be the one in kg/queries, and no file may name a path of
the machine it was written on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

from flows.cli import build_parser
from flows.config import Config, PrefectSettings, Profile, Task, VerdictRule
from kg.query import questions

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "program.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
BEGIN, END = "<!-- questions: begin -->", "<!-- questions: end -->"
COMMAND = re.compile(r"(?:^\$? ?|`)(?:\.venv/bin/)?(nightlab [a-z][^`\n]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w+")


def main(write: bool) -> int:
    """Print every finding; exit code 1 if there is one."""
    pages = [page for page in [*PAGES, *sorted((ROOT / "docs").glob("*.md"))] if page.is_file()]
    found = [line for page in pages for line in [*commands(page), *links(page)]]
    found += question_list(ROOT / "docs" / "questions.md", write)
    found += keys(ROOT / "docs" / "guide.md") + machine_paths()
    for line in found:
        print(line)
    print(f"docs: {len(pages)} pages, {len(found)} findings")
    return 1 if found else 0


def commands(page: Path) -> list[str]:
    """Find commands that the command line would not take."""
    wrong = []
    for text in COMMAND.findall(page.read_text(encoding="utf-8")):
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            wrong.append(f"{page.name}: `{text}` is not a command line; close its quotes")
            continue
        ends = [i for i, word in enumerate(words) if word in ("|", ">", "&&", "->")]
        said = refused(words[1 : ends[0] if ends else None])
        bare = "arguments are required" in said and not any("-" in word[:1] for word in words)
        if said and not bare:  # prose may name a command without its arguments
            wrong.append(f"{page.name}: `{text}`: {said}")
    return wrong


def refused(words: list[str]) -> str:
    """Return what the command line says against some words, nothing if it takes them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            build_parser().parse_args(words)
    except SystemExit as stop:
        return said.getvalue().strip().splitlines()[-1] if stop.code else ""
    return ""


def links(page: Path) -> list[str]:
    """Find links to files that are not there."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    gone = [target for target in targets if not (page.parent / target).exists()]
    return [f"{page.name}: link to {target}, which does not exist" for target in gone]


def question_list(page: Path, write: bool) -> list[str]:
    """Compare the page of questions with kg/queries."""
    lines = ["| question | answers | arguments |", "|---|---|---|"]
    for name, question in questions().items():
        words = [f"`{a.name}`" + ("" if a.required else "?") for a in question.arguments]
        lines.append(f"| `{name}` | {question.summary} | {' '.join(words)} |")
    table = "\n".join(lines)
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    renewed = f"{before}{BEGIN}\n{table}\n{END}{after}"
    if write and BEGIN in text:
        page.write_text(renewed, encoding="utf-8")
    elif renewed != text:
        return ["questions.md: is not the list of kg/queries; run `make docs`"]
    return []


def keys(page: Path) -> list[str]:
    """Find keys of nightlab.toml the guide does not describe."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    classes = (Config, Task, VerdictRule, Profile, PrefectSettings)
    names = {field.name for kind in classes for field in dataclasses.fields(kind)}
    return [
        f"guide.md: key `{name}` is not described"
        for name in sorted(names)
        if f"`{name}`" not in text
    ]


def machine_paths() -> list[str]:
    """Find absolute paths of a machine in what git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: names a path of a machine: {hit}" for hit in set(MACHINE.findall(text))]
    return found


if __name__ == "__main__":
    raise SystemExit(main("--write" in sys.argv[1:]))
