from hypothesis import given
from hypothesis import strategies as st

from trainer.summary import Summary, parse_summary

BLOCK = """step 00001 | loss 5.0
---
val_bpb:          0.997900
training_seconds: 300.1
peak_vram_mb:     45060.2
device:           NVIDIA H100
"""


def test_the_block_of_upstream_is_read_with_its_keys() -> None:
    found = parse_summary(BLOCK, "val_bpb")
    numbers = {"val_bpb": 0.9979, "training_seconds": 300.1, "peak_vram_mb": 45060.2}
    assert found == Summary(numbers, {"device": "NVIDIA H100"}, "")


def test_only_the_last_block_counts() -> None:
    text = "---\nval_bpb: 0.1\nfake: 1\n" + BLOCK
    assert parse_summary(text, "val_bpb").numbers["val_bpb"] == 0.9979
    assert "fake" not in parse_summary(text, "val_bpb").numbers


def test_a_missing_result_says_what_was_expected() -> None:
    found = parse_summary("Traceback\nValueError: no", "val_bpb")
    assert found.problem == "no result: the run printed no line `val_bpb: <number>`"
    assert found.words == {}


def test_nan_and_infinity_are_no_results() -> None:
    for word in ("nan", "NaN", "inf", "-inf", "1e999"):
        found = parse_summary(f"---\nval_bpb: {word}\n", "val_bpb")
        assert found.numbers == {}
        assert found.problem == f"no result: the run printed val_bpb {word!r}"


def test_a_task_without_a_block_prints_its_metric_anywhere() -> None:
    assert parse_summary("epoch 1\nval_rmse: 2.5\ndone", "val_rmse").numbers == {"val_rmse": 2.5}


def test_carriage_returns_end_lines() -> None:
    assert parse_summary("---\r\nval_bpb: 1\r\n", "val_bpb").numbers == {"val_bpb": 1.0}


@given(st.text(max_size=400), st.sampled_from(["val_bpb", "score"]))
def test_any_text_gives_a_number_or_a_problem(text: str, metric: str) -> None:
    found = parse_summary(text, metric)
    assert (metric in found.numbers) == (found.problem == "")
