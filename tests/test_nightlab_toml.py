import subprocess
import sys
from pathlib import Path

import pytest

from flows.config import load_config
from flows.config_check import parse_config
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


def test_a_path_is_named_as_git_names_it() -> None:
    text = '[tasks.train]\ntarget="./a/../t//b.py"\ncommand="x"\nmetric="m"\ninputs=["data/"]\n'
    with pytest.raises(ConfigError, match="must be a path inside the repository"):
        parse_config(text)
    task = parse_config(text.replace("a/../", "")).tasks["train"]
    assert (task.target, task.inputs) == ("t/b.py", ("data",))


def test_broken_toml_and_a_missing_file_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        parse_config("[")
    with pytest.raises(ConfigError, match=r"nightlab\.toml is missing"):
        load_config(tmp_path)


TEXT = """
[tasks.train]
target = "t.py"
command = "python t.py"
metric = "m"
inputs = ["data.txt"]
[tasks.train.verdict]
tolerance = 1
confirm = true
[profiles.cpu]
limit_seconds = 60
[prefect]
port = 4300
"""


def test_what_was_checked_once_is_read_back_the_same(tmp_path: Path) -> None:
    (tmp_path / "nightlab.toml").write_text(TEXT)
    wanted = load_config(tmp_path)
    assert [*tmp_path.iterdir()] == [tmp_path / "nightlab.toml"]  # nothing is made for it
    (tmp_path / ".nightlab").mkdir()
    assert load_config(tmp_path) == wanted == parse_config(TEXT)
    code = f"import pathlib, sys; from flows.config import load_config as load; \
print(load(pathlib.Path({str(tmp_path)!r}))); print('pydantic' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [repr(wanted), "False"]


@pytest.mark.parametrize("kept", [b"", b"[]", b"0" * 64, b"\xff"])
def test_what_was_kept_of_another_text_or_broken_is_checked_anew(tmp_path, kept: bytes) -> None:
    place = tmp_path / ".nightlab" / "config.checked"
    place.parent.mkdir()
    place.write_bytes(kept)
    path = tmp_path / "nightlab.toml"
    path.write_text(TEXT)
    first = load_config(tmp_path)
    assert first == parse_config(TEXT)
    path.write_text(TEXT.replace("4300", "4301"))
    assert load_config(tmp_path).prefect.port == 4301
    path.write_text(TEXT.replace("4300", "0"))
    with pytest.raises(ConfigError, match=r"prefect\.port: input should be greater than"):
        load_config(tmp_path)
    assert len(place.read_bytes()) == 64  # a hash and no value that a run could change


@pytest.mark.parametrize(
    ("old", "new"),
    [("limit_seconds = 60", 'limit_seconds = "60"'), ("tolerance = 1", "tolerance = true")],
)
def test_what_pydantic_makes_of_a_text_is_not_taken_from_the_text_itself(
    tmp_path: Path, old: str, new: str
) -> None:
    (tmp_path / ".nightlab").mkdir()
    text = TEXT.replace(old, new)
    (tmp_path / "nightlab.toml").write_text(text)
    assert repr(load_config(tmp_path)) == repr(load_config(tmp_path)) == repr(parse_config(text))
