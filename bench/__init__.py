"""Figures of nightlab, each printed by one module; `make bench` runs them all."""
