"""Answers about a user's own images: classes, sizes, look-alikes, and when nothing can be told."""
