"""The published sets, a module each, and your own images under one name."""
