"""Wire: Prefect, DVC, git, agents and the command line."""
