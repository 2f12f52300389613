"""What many tests start from: a repository under research, a foreign history, a served memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import histories
import pytest
from hypothesis import settings
from laboratory import TRAIN, make_repository
from served import EXPERIMENTS, LIMITS, running
from story import Records, Story

from flows import history
from flows.endpoint import Server, build_endpoint
from flows.endpoint_workers import Workers
from flows.lab import Lab, open_lab
from kg.lexicon import ALIASES
from kg.memory import Memory
from kg.text_semantic import OPEN, TABLE

# An example takes as long as the machine is busy: 200 ms, the usual deadline, fails for no fault.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def shipped_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no test the aliases of a lab that another opened: kg finds them by environment."""
    for name in (ALIASES, TABLE, OPEN):
        monkeypatch.setenv(name, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A committed repository with a fast trainer."""
    return make_repository(tmp_path / "user")


@pytest.fixture
def lab(root: Path) -> Iterator[Lab]:
    """The lab of that repository."""
    opened = open_lab(root)
    yield opened
    opened.repository.close()


@pytest.fixture
def edit(lab: Lab) -> Callable[..., bytes]:
    """Return the trainer's source with some text replaced."""

    def replaced(*pairs: tuple[str, str], source: str = TRAIN) -> bytes:
        for old, new in pairs:
            assert old in source
            source = source.replace(old, new)
        return source.encode()

    return replaced


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Return a foreign history that is still to be written."""
    return Story(tmp_path / "foreign.git")


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Records:
    """Return what an import would have put into the memory."""
    found = Records()
    monkeypatch.setattr(history, "open_memory", lambda place: found)
    return found


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A memory of a made-up campaign, unless a module has one of its own."""
    made = Memory(tmp_path_factory.mktemp("endpoint") / "graph")
    made.add_all(histories.records(size=EXPERIMENTS))
    return made


@pytest.fixture(scope="module")
def server(memory: Memory) -> Iterator[Server]:
    """The endpoint of that memory."""
    workers = Workers(memory.directory, seconds=20, limits=LIMITS)
    with running(build_endpoint(memory.directory, workers=workers)) as served:
        yield served
