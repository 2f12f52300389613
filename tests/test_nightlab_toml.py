from pathlib import Path

import pytest

from flows.config import load_config, parse_config
from flows.errors import ConfigError


def test_the_committed_file_is_valid() -> None:
    config = load_config(Path(__file__).parent.parent)
    assert config.tasks["train"].target == "trainer/train.py"
    assert config.profiles["h100"].limit_seconds == 600


def test_all_mistakes_are_reported_at_once_with_their_places() -> None:
    text = """
task = "other"
colour = "red"
[tasks.train]
target = "../train.py"
command = ""
direction = "down"
[profiles.cpu]
limit_seconds = -1
"""
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    found = "\n".join(error.value.mistakes)
    places = ("colour", "target", "command", "direction", "metric", "limit_seconds")
    assert [place for place in places if place not in found] == []
    assert "colour: no such key" in error.value.mistakes
    assert "tasks.train.metric: is missing" in error.value.mistakes


def test_names_that_do_not_exist_are_named_with_those_that_do() -> None:
    text = '[tasks.a]\ntarget="t.py"\ncommand="x"\nmetric="m"\n'
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    assert error.value.mistakes == ["task: no such task 'train'; there are: a"]


def test_broken_toml_and_a_missing_file_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        parse_config("[")
    with pytest.raises(ConfigError, match=r"nightlab\.toml is missing"):
        load_config(tmp_path)
