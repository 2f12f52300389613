"""Errors of trainer: our failure or the user's setup. A failed run is data, not an error."""

from __future__ import annotations


class TrainerError(Exception):
    """Base of everything trainer raises on purpose."""


class CommandNotFound(TrainerError):
    """The task's command names a program that is not there."""

    def __init__(self, command: list[str], detail: str) -> None:
        super().__init__(
            f"command {' '.join(command)!r}: {detail}; correct `command` in nightlab.toml"
        )
        self.command = command
