from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from histories import built, dump, records

ROOT = Path(__file__).parent.parent
SCRIPT = """
import hashlib, locale, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from pathlib import Path
from histories import records
from kg import ingest
from kg.memory import open_memory

if __name__ == "__main__":
    ingest.workers_for = lambda count: int(sys.argv[3])
    memory = open_memory(Path(sys.argv[2]))
    memory.rebuild(records(size=10))
    print(hashlib.sha256(memory.dump()).hexdigest())
"""


@pytest.mark.parametrize(
    ("seed", "zone", "language", "workers"),
    [("0", "UTC", "C", 1), ("1", "Pacific/Auckland", "tr_TR.UTF-8", 2)],
)
def test_a_rebuild_gives_the_same_bytes_on_any_machine(tmp_path, seed, zone, language, workers):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "TZ": zone,
        "LC_ALL": language,
        "LANG": language,
    }
    done = subprocess.run(
        [sys.executable, str(script), str(ROOT), str(tmp_path / "graph"), str(workers)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = hashlib.sha256(dump(built(records(size=10)))).hexdigest()
    assert done.stdout.strip() == wanted


UNGUARDED = """
import os, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
os.cpu_count = lambda: 2
from pathlib import Path
from histories import records
from kg.memory import Memory

Memory(Path(sys.argv[2])).{call}(records(size=64))
"""


@pytest.mark.parametrize("call", ["rebuild", "add_all"])
def test_a_script_without_a_guard_is_told_in_one_sentence_what_it_lacks(tmp_path, call):
    # each process that was to read for it runs it again, and would wait 60 s for its lock
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.format(call=call))
    words = [sys.executable, str(script), str(ROOT), str(tmp_path / "graph")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert 'below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1
