from pathlib import Path

import pytest

from flows.config import VerdictRule, load_config, parse_config
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


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("inputs = ['a', '../b']", "inputs.1: must be a path inside the repository, not '../b'"),
        ("inputs = 'a'", "inputs: must be a list of paths, not 'a'"),
        ("metric = ''", "metric: must be some text, not ''"),
        ("verdict = { tolerance = -1 }", "verdict.tolerance: must be a number of at least 0, not -1"),
        ("verdict = { much_code = 1.5 }",
         "verdict.much_code: must be a whole number of at least 0, not 1.5"),
        ("verdict = { confirm = 1 }", "verdict.confirm: must be true or false, not 1"),
        ("verdict = true", "verdict: must be a table, not True"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_said_with_what_it_must_be(line: str, mistake: str) -> None:
    given = {"target": "target = 't.py'", "command": "command = 'x'", "metric": "metric = 'm'"}
    lines = {**given, line.split(" ")[0]: line}
    with pytest.raises(ConfigError) as error:
        parse_config("\n".join(["[tasks.train]", *lines.values()]))
    assert error.value.mistakes == [f"tasks.train.{mistake}"]


@pytest.mark.parametrize("clock", ["0", "-1", "nan", "inf", "true", "'300'"])
def test_a_clock_is_a_number_above_zero(clock: str) -> None:
    with pytest.raises(
        ConfigError, match=r"profiles\.cpu\.limit_seconds: must be a number above 0"
    ):
        parse_config(f"[tasks.train]\n[profiles.cpu]\nlimit_seconds = {clock}")


def test_what_is_not_given_has_its_default_and_whole_seconds_are_numbers() -> None:
    config = parse_config(
        "[tasks.train]\ntarget='t.py'\ncommand='x'\nmetric='m'\ninputs=['data']\n"
        "[profiles.cpu]\nlimit_seconds = 300\n"
    )
    task = config.tasks["train"]
    assert (task.direction, task.prepare, task.inputs) == ("minimise", "", ("data",))
    assert task.verdict == VerdictRule()
    assert repr(config.profiles["cpu"].limit_seconds) == "300.0"
    assert (config.semantic, config.prefect.port) == ("auto", 4200)


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
