"""Import this before Prefect: in a terminal its first import sends a message to its makers."""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
