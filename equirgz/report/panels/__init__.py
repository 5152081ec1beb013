"""Figures of a few sources or of one network, from arrays: maps, neighbours, turns, attention, audits."""
