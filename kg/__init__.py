"""Remember: sources and records in, answers out. No GPU, no network, no Prefect, no torch."""
