"""Regular expressions that are compiled when they are first used.

To compile one takes 0.1 ms, and a command that is started for one answer uses half of 280.
"""

from __future__ import annotations

import re
from typing import Any, cast


class Late:
    """A regular expression to be; its methods are those of the compiled one, once asked for."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern, self.flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Take over all that is asked of a pattern; what was taken is not asked for here again."""
        compiled = re.compile(self.pattern, self.flags)
        for method in METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


METHODS = ("search", "match", "fullmatch", "findall", "finditer", "split", "sub", "subn")


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return a regular expression that costs nothing until it is used."""
    return cast("re.Pattern[str]", Late(pattern, flags))
