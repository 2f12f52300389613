"""The parameters of the `research` flow, with what the form in Prefect's UI says of each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

TAG = "night-{date}"
LIMIT = 300  # experiments in one flow run: its page stays quick; a longer batch takes several

Tag = Annotated[
    str,
    Field(
        description="Campaign `autoresearch/<tag>`: started if it is new, else continued. "
        "`{date}` becomes today's date."
    ),
]
Experiments = Annotated[
    int | None,
    Field(
        ge=0,
        le=LIMIT,
        description="Number of experiments beside the baseline. "
        f"Empty: until the hours are over, at most {LIMIT} in one flow run.",
    ),
]
Hours = Annotated[
    float | None,
    Field(gt=0, description="No experiment starts later than this many hours after the first."),
]
Profile = Annotated[
    str | None,
    Field(
        description="Kind of machine, a profile of nightlab.toml such as cpu or h100. "
        "Empty: the campaign's own, else that of params.yaml."
    ),
]
Agent = Annotated[
    str | None,
    Field(description="Who proposes the edits. Empty: `agent` of nightlab.toml."),
]
Seed = Annotated[
    int,
    Field(description="Of the built-in researcher: same seed and same history, same edits."),
]
TaskName = Annotated[
    str | None,
    Field(description="Task of nightlab.toml. Empty: the campaign's own, else its default."),
]
BudgetSeconds = Annotated[
    float | None,
    Field(gt=0, description="Training clock of one run in seconds. Empty: the profile's own."),
]
Rebuild = Annotated[
    bool,
    Field(description="Make the whole graph anew instead of adding what it lacks."),
]
