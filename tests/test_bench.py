"""The benchmarks start: none is run here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.__main__ import SECTIONS

ROOT = Path(__file__).resolve().parent.parent


def test_every_section_of_the_bench_can_be_imported_where_make_runs_it() -> None:
    modules = sorted({words[0] for _, words, _ in SECTIONS.values()})
    code = "".join(f"import bench.{module}\n" for module in modules)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
