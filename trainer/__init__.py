"""Run one experiment: a supervised process, its summary, its parameters, its score."""
