"""The summary block a training run prints at its end, read from untrusted text.

The format is autoresearch's: a line `---`, then lines `key: value`. A task that prints no
`---` may print its `key: value` lines anywhere; the last one of a key counts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

TAIL_BYTES = 256 * 1024  # the block has about 20 lines; a longer tail only costs time
LINE = re.compile(r"^([A-Za-z][A-Za-z0-9_./-]{0,63}):[ \t]+(\S.{0,199}?)[ \t]*$")  # linear
NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished run printed about itself: claims, not facts."""

    numbers: dict[str, float] = field(default_factory=dict)  # finite values only
    words: dict[str, str] = field(default_factory=dict)  # device, attention, ...
    problem: str = ""  # why there is no usable metric, one sentence; empty if there is one


def parse_summary(text: str, metric: str) -> Summary:
    """Read the last summary block of a log.

    >>> parse_summary("step 1\\n---\\nval_bpb: 1.5\\ndevice: cpu\\n", "val_bpb")
    Summary(numbers={'val_bpb': 1.5}, words={'device': 'cpu'}, problem='')
    >>> parse_summary("---\\nval_bpb: nan", "val_bpb").problem
    "no result: the run printed val_bpb 'nan'"
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    starts = [i for i, line in enumerate(lines) if line.strip() == "---"]
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    for line in lines[starts[-1] + 1 if starts else 0 :]:
        match = LINE.match(line)
        if not match:
            continue
        key, value = match.groups()
        numbers.pop(key, None)
        words.pop(key, None)
        if NUMBER.match(value) and math.isfinite(float(value)):
            numbers[key] = float(value)
        elif starts or key == metric:  # outside a block any prose with a colon would match
            words[key] = "".join(char for char in value if char.isprintable())
    return Summary(numbers, words, problem(numbers, words, metric))


def problem(numbers: dict[str, float], words: dict[str, str], metric: str) -> str:
    """Say in one sentence why the metric is missing, or nothing."""
    if metric in numbers:
        return ""
    if metric in words:
        return f"no result: the run printed {metric} {words[metric][:40]!r}"
    return f"no result: the run printed no line `{metric}: <number>`"
