"""Check that README, program.md and docs say what is true; `--write` renews generated parts.

Commands shown must parse, links must lead somewhere, every key of nightlab.toml must be
described, the questions must be those of kg/queries and the terms those of the ontology, and no
file may name a path of the machine it was written on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from pages import question_lines, vocabulary_lines

from flows.cli import build_parser, parsed
from flows.config import Config, PrefectSettings, Profile, Task, VerdictRule

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "program.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
COMMAND = re.compile(r"(?:^\$? ?|`)(?:\.venv/bin/)?(nightlab [a-z][^`\n]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w+")


def main(write: bool) -> int:
    """Print every finding; exit code 1 if there is one."""
    pages = [page for page in [*PAGES, *sorted((ROOT / "docs").glob("*.md"))] if page.is_file()]
    found = [line for page in pages for line in [*commands(page), *links(page)]]
    found += generated(ROOT / "docs" / "questions.md", question_lines(), write)
    found += generated(ROOT / "docs" / "ontology.md", vocabulary_lines(), write)
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
            parsed(build_parser(), words)
    except SystemExit as stop:
        return said.getvalue().strip().splitlines()[-1] if stop.code else ""
    return ""


def links(page: Path) -> list[str]:
    """Find links to files that are not there."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    gone = [target for target in targets if not (page.parent / target).exists()]
    return [f"{page.name}: link to {target}, which does not exist" for target in gone]


def generated(page: Path, lines: Iterable[str], write: bool) -> list[str]:
    """Compare the generated part of a page with what it must be."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    renewed = f"{before}{BEGIN}\n{chr(10).join(lines).rstrip()}\n{END}{after}"
    if write:
        page.write_text(renewed, encoding="utf-8")
    elif renewed != text:
        return [f"{page.name}: its generated part is out of date; run `make docs`"]
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
