"""Convolutions that commute with a group."""
