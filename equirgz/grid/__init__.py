"""Grids of runs: planned from a YAML, computed by an engine, kept in a results folder; and one run alone."""
