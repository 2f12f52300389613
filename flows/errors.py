"""Errors of flows: our failure or the user's setup. A failed experiment is data, not an error."""

from __future__ import annotations

from typing import Any


class FlowError(Exception):
    """Base of everything flows raises on purpose; its text is one sentence for the user."""


def sentence(error: Exception) -> str:
    """Return an error as a sentence; of an operating system's, what it is about and what to do."""
    if not isinstance(error, OSError) or error.filename is None or not error.strerror:
        return str(error)
    why = error.strerror[0].lower() + error.strerror[1:]
    return f"{error.filename}: {why}; check the path"


class ConfigError(FlowError):
    """nightlab.toml is missing or wrong; every mistake is named."""

    def __init__(self, mistakes: list[str]) -> None:
        lines = "".join(f"\n  - {mistake}" for mistake in mistakes)
        many = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"nightlab.toml: {many}; correct the file:{lines}")
        self.mistakes = mistakes


class RepositoryError(FlowError):
    """The git repository cannot be used as it is."""


class RefTaken(RepositoryError):
    """A compare-and-swap found another value: someone else was faster."""

    def __init__(self, ref: str, detail: str) -> None:
        super().__init__(
            f"{ref}: was changed by someone else meanwhile ({detail}); "
            "run the command again, nothing is lost"
        )
        self.ref = ref


class CampaignError(FlowError):
    """A campaign cannot be started, continued or found."""


class TrackingError(FlowError):
    """DVC could not save or show an experiment."""

    def __init__(self, place: object, detail: str) -> None:
        super().__init__(f"dvc in {place}: {detail}; check dvc.yaml with `dvc status`")


class ServerError(FlowError):
    """A server of ours (Prefect, SPARQL, MCP) or its page cannot be started, made or reached."""


class NothingToEdit(FlowError):
    """The built-in researcher finds no edit of the target that was not tried."""


class NotAdvised(FlowError):
    """The memory advises against a run; `--force --because` overrules it."""

    def __init__(self, summary: str, exit_code: int, advice: dict[str, Any]) -> None:
        super().__init__(
            f'check: {summary}; change the edit, or run it with --force --because "..."'
        )
        self.exit_code, self.advice = exit_code, advice
