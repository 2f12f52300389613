"""The names of a GPT's knobs belong to trainers; another task's knobs keep their place's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpt_source import GPT
from histories import asked, built
from story import Records, Story, take

from kg.changes import changes
from kg.config import analysis, configuration
from kg.graph import Graph
from kg.knobs import component_of
from kg.task_kind import Kind

FOREST = """
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor

def encode(frame, folds=5, smoothing=10):
    return frame.groupby("area").mean() * smoothing

model = GradientBoostingRegressor(learning_rate={rate}, max_depth={depth}, dropout=0.1)
model.fit(encode(pd.read_csv("x.csv")))
"""


def forest(rate: float = 0.1, depth: int = 3) -> str:
    return FOREST.format(rate=rate, depth=depth)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GPT, Kind.TRANSFORMER),
        ("import numpy as np\nclass CausalSelfAttention: pass\n", Kind.TRANSFORMER),
        ("import numpy, torch.nn as nn\n", Kind.NEURAL),
        ("try:\n    import mlx.core as mx\nexcept ImportError:\n    import numpy\n", Kind.NEURAL),
        ("def main():\n    from jax import numpy\n    import scipy\n", Kind.NEURAL),
        ("DEPTH = 8\n", Kind.NEURAL),  # nothing speaks against it
        ("import numpy as np\nn_layer = 12\nn_embd = 768\n", Kind.NEURAL),
        ("import numpy as np\nDEPTH = 8\n", Kind.OTHER),
        ("from . import torch\nimport xgboost\n", Kind.OTHER),
        ('"""import torch"""\nfrom sklearn import svm\n', Kind.OTHER),
        (forest(), Kind.OTHER),
    ],
)
def test_imports_classes_and_constants_tell_a_trainer_from_another_task(
    text: str, kind: Kind
) -> None:
    known = analysis(text)
    assert known is not None
    assert known.kind is kind


def test_settings_of_another_task_are_named_by_their_place() -> None:
    settings = configuration(forest()).settings
    assert {knob: setting.value for knob, setting in settings.items()} == {
        "other.GradientBoostingRegressor.learning_rate": "0.1",
        "other.GradientBoostingRegressor.max_depth": "3",
        "other.GradientBoostingRegressor.dropout": "0.1",
        "other.encode.folds": "5",
        "other.encode.smoothing": "10",
    }
    assert {setting.component for setting in settings.values()} == {"other"}
    assert "optimizer.all_lr" in configuration(forest() + "import torch\n").settings


def test_an_edit_of_another_task_names_no_knob_of_a_trainer() -> None:
    (change,) = changes(forest(), forest(0.2), message="learning rate 0.1 to 0.2")
    assert change.knob == "other.GradientBoostingRegressor.learning_rate"
    assert (change.component, change.optimizer_scope.value) == ("other", "none")
    assert (change.change_type.value, change.old, change.new) == ("increase", "0.1", "0.2")
    smoother = forest().replace("smoothing=10", "smoothing=20")
    (change,) = changes(forest(), smoother, message="label smoothing 20")
    assert change.knob == "other.encode.smoothing"


def test_another_task_in_place_of_a_trainer_is_one_change_and_back_a_revert() -> None:
    there = changes(GPT, forest(), message="predict house prices")
    assert {change.knob for change in there} == {"other.unspecified"}
    assert there[0].change_type.value == "replace"
    back = changes(forest(), GPT, message="back", history=[GPT])
    assert [change.change_type.value for change in back] == ["revert"]


def test_a_history_of_another_task_is_asked_by_its_own_names(
    story: Story, records: Records, tmp_path: Path
) -> None:
    main = "refs/heads/main"
    for message, text in (
        ("start", forest()),
        ("slower", forest(0.05)),
        ("deeper", forest(0.05, 4)),
    ):
        story.train(main, message, text)
    story.write()
    take(story, tmp_path)
    told = list(records.known.values())
    knob = "other.GradientBoostingRegressor.learning_rate"
    (row,) = asked(told, "attempts", knob=knob).rows
    assert (row["experiment"], row["old"], row["new"]) == ("main-0001", 0.1, 0.05)
    settings = Graph(built(told)).settings("main-0002")
    assert settings[knob] == 0.05
    assert {component_of(knob) for knob in settings} == {"other"}
