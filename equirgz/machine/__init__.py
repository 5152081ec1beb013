"""This machine and this install: what is there, what is missing, what would be slow, and whether it all works."""
