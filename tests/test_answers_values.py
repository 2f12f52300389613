"""Values as people write them: parts of a whole, thousands, per cent."""

from __future__ import annotations

import pytest
from histories import asked, line
from told import DISCARD, KEEP, LR, column

WINDOW, BATCH = "attention.short_window", "batch.total"
SOURCE = """TOTAL_BATCH_SIZE = {batch}
EMBEDDING_LR = {lr}
class GPT:
    def _compute_window_sizes(self, config):
        long_window = config.sequence_len
        short_window = long_window // {part}
        return short_window
def optimizer(model):
    return MuonAdamW([dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR)])
optimizer(GPT())
for micro_step in range(TOTAL_BATCH_SIZE // tokens):
    loss.backward()
"""


def source(part=2, lr=0.6, batch=2**19):
    return SOURCE.format(part=part, lr=lr, batch=batch)


NIGHT = line(
    [
        (source(), 1.00, KEEP),
        (source(part=8), 0.99, KEEP),
        (source(part=8, lr=0.8), 0.98, KEEP),
        (source(part=16, lr=0.8), 0.99, DISCARD),
        (source(part=8, lr=0.8, batch=2**18), 0.97, KEEP),
        (source(part=8, lr=0.8, batch=2**17), 0.99, DISCARD),
    ]
)


@pytest.mark.parametrize("campaign", ["t", None])
def test_a_condition_on_a_part_of_a_whole_is_one_on_a_number(campaign):
    other = line([(source(), 1.0, KEEP)], tag="u")  # so that none means all campaigns
    for value in ("<0.2", "1/8", "0.125", "long_window // 8"):
        rows = asked(
            [*NIGHT, *other],
            "improved-while",
            knob=WINDOW,
            value=value,
            component="optimizer",
            campaign=campaign,
        ).rows
        assert [(row["knob"], row["n"], row["experiment"]) for row in rows] == [(LR, 1, "t-0002")]


@pytest.mark.parametrize(
    ("knob", "value", "found"),
    [
        (WINDOW, "1/8", ["t-0001"]),
        (WINDOW, "<=1/8", ["t-0001", "t-0003"]),
        (WINDOW, "!=1/8", ["t-0003"]),
        (BATCH, "262K", ["t-0004"]),
        (BATCH, "128k", ["t-0005"]),
        (BATCH, ">=200K", ["t-0004"]),
        (BATCH, "300K", []),
        (LR, "80%", ["t-0002"]),
        (LR, ">=80%", ["t-0002"]),
        (LR, "<80%", []),
    ],
)
def test_attempts_at_a_value_are_found_however_it_is_written(knob, value, found):
    assert column(asked(NIGHT, "attempts", knob=knob, value=value), "experiment") == found
