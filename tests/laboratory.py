"""A small repository under research: real git and real DVC, a train.py that takes 50 ms."""

from __future__ import annotations

import subprocess
from pathlib import Path

TRAIN = '''"""A trainer that knows its own loss."""
import csv, os, pathlib
DEPTH = 4
MATRIX_LR = 0.04
TOTAL_BATCH_SIZE = 2**14
ADAM_BETAS = (0.8, 0.95)
SEED = 42

def main():
    loss = 1.0 + (DEPTH - 6) ** 2 / 100 + (MATRIX_LR - 0.05) ** 2 * 100
    out = pathlib.Path(os.environ.get("NIGHTLAB_OUT", "exp"))
    (out / "artifacts").mkdir(parents=True, exist_ok=True)
    (out / "artifacts" / "checkpoint.pt").write_bytes(repr(loss).encode())
    with open(out / "loss.csv", "w") as stream:
        csv.writer(stream).writerows([("step", "seconds", "loss"), (1, 0.1, loss)])
    print("step 00001 | loss 1.0 | 0.1 s | 50 %")
    print("---")
    print(f"val_bpb:          {loss:.6f}")
    print("training_seconds: 0.1")
    print("peak_vram_mb:     1024.0")
    print("num_steps:        1")
    print("depth:            ", DEPTH)
    print("seed:             ", SEED)
    print("device:           cpu")

if __name__ == "__main__":
    main()
'''

CONFIG = """
[tasks.train]
target = "train.py"
command = "python train.py"
metric = "val_bpb"
direction = "minimise"
verdict = { tolerance = 0.0005, much_code = 20 }

[profiles.cpu]
limit_seconds = 5
[profiles.smoke]
limit_seconds = 5
"""

PIPELINE = """
params: [exp/params.json]
metrics: [exp/metrics.json]
plots: [{exp/loss.csv: {x: step, y: loss}}]
stages:
  train:
    cmd: python -m trainer.stage --target train.py --command "python train.py"
    deps: [train.py]
    outs:
      - exp/artifacts
      - exp/loss.csv
      - exp/metrics.json: {cache: false}
      - exp/params.json: {cache: false}
"""

FILES = {
    "train.py": TRAIN,
    "nightlab.toml": CONFIG,
    "dvc.yaml": PIPELINE,
    ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    "exp/.gitignore": "/loss.csv\n/artifacts\n",
    "notes.md": "What I think.\n",
}


def git(place: Path, *words: str) -> str:
    """Run git in a test's repository."""
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=place, check=True, capture_output=True, text=True
    )
    return done.stdout


def make_repository(place: Path) -> Path:
    """Make a committed repository with a fast trainer."""
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "Begin")
    return place
